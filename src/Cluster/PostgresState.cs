namespace Routing.Cluster;

/// <summary>
/// The state of a member's PostgreSQL, in its member key. The order is that of the metric's index, from 0.
/// </summary>
public enum PostgresState
{
    /// <summary><c>initializing new cluster</c></summary>
    Initdb,

    /// <summary><c>initdb failed</c></summary>
    InitdbFailed,

    /// <summary><c>running custom bootstrap script</c></summary>
    CustomBootstrap,

    /// <summary><c>custom bootstrap failed</c></summary>
    CustomBootstrapFailed,

    /// <summary><c>creating replica</c></summary>
    CreatingReplica,

    /// <summary><c>running</c></summary>
    Running,

    /// <summary><c>starting</c></summary>
    Starting,

    /// <summary><c>starting after custom bootstrap</c></summary>
    BootstrapStarting,

    /// <summary><c>start failed</c></summary>
    StartFailed,

    /// <summary><c>restarting</c></summary>
    Restarting,

    /// <summary><c>restart failed</c></summary>
    RestartFailed,

    /// <summary><c>stopping</c></summary>
    Stopping,

    /// <summary><c>stopped</c></summary>
    Stopped,

    /// <summary><c>stop failed</c></summary>
    StopFailed,

    /// <summary><c>crashed</c></summary>
    Crashed,

    /// <summary>The field is missing (readers say <c>unknown</c>).</summary>
    Unknown = -1,
}
