namespace Routing.Proxy.Sessions;

/// <summary>Why a session was told to end; later ones are sharper.</summary>
internal enum StopReason
{
    /// <summary>It was not.</summary>
    None,

    /// <summary>Nothing moved for too long.</summary>
    Idle,

    /// <summary>Its member does not fit any more: at rest.</summary>
    Move,

    /// <summary>The proxy drains: at rest.</summary>
    Drain,

    /// <summary>The time to drain is over: at once.</summary>
    DrainOver,

    /// <summary>Its member is the wrong one: at once.</summary>
    Cut,
}
