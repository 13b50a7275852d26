namespace Routing.Proxy.Wire;

/// <summary>What an error that a server sends ahead of authentication means for the router.</summary>
internal enum StartupErrorKind
{
    /// <summary>For the client alone: a wrong database, no entry in pg_hba.conf, a broken start-up.</summary>
    Final,

    /// <summary>The server is starting or stopping: somewhere else, or later, it may work.</summary>
    NotReady,

    /// <summary>No free slot: another replica may have one.</summary>
    Full,
}
