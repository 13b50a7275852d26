namespace Routing.Proxy.Sessions.Joined;

/// <summary>Why a session that lost its server did not move, where its listener lets sessions move.</summary>
internal enum NotMoved
{
    /// <summary>Something was asked for and not answered, or a transaction was open.</summary>
    Busy,

    /// <summary>It holds state, as far as is known.</summary>
    HoldsState,

    /// <summary>It may have custom settings, which no view shows.</summary>
    HiddenSettings,

    /// <summary>It has a cursor WITH HOLD.</summary>
    HeldCursors,

    /// <summary>It has temporary tables, types or functions.</summary>
    TemporaryObjects,

    /// <summary>It holds advisory locks.</summary>
    AdvisoryLocks,

    /// <summary>It acts as another user by SET SESSION AUTHORIZATION.</summary>
    SessionAuthorization,

    /// <summary>Its database has an extension that may keep connections of its own.</summary>
    Extension,

    /// <summary>Its database has functions that may set custom settings or keep state in their language.</summary>
    Functions,

    /// <summary>The server did not tell its state: an error, no answer in time, or the end.</summary>
    StateUnknown,

    /// <summary>The new server has refused to make its state anew.</summary>
    StateRefused,

    /// <summary>Its login takes something that the proxy does not have, such as a password.</summary>
    NeedsClient,

    /// <summary>No server took it in time.</summary>
    NoServer,

    /// <summary>The new server has refused the login for good, and its words were passed on.</summary>
    Refused,

    /// <summary>The client went away meanwhile.</summary>
    ClientGone,

    /// <summary>The server lives and has ended the session by itself: <c>pg_terminate_backend</c>.</summary>
    Terminated,

    /// <summary>The proxy is shutting down.</summary>
    Draining,
}
