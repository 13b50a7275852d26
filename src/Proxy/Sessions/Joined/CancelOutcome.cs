namespace Routing.Proxy.Sessions.Joined;

/// <summary>What became of a cancel request.</summary>
internal enum CancelOutcome
{
    /// <summary>Sent to the session's server, which closed.</summary>
    Delivered,

    /// <summary>Sent to the session's server, which did not close in time.</summary>
    Unanswered,

    /// <summary>No session here has its key, and its listener has no member at present: dropped.</summary>
    Unknown,

    /// <summary>No session here has its key: sent to the members that a session of its listener can be at.</summary>
    PassedOn,

    /// <summary>No session here has its key: sent to every member with sessions.</summary>
    Broadcast,

    /// <summary>The request got too old before it could be sent.</summary>
    TooOld,

    /// <summary>The server could not be reached.</summary>
    Failed,
}
