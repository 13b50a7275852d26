namespace Routing.Proxy.Sessions.Joined;

/// <summary>Why a session that lost its server did not move, where its listener lets sessions move.</summary>
internal enum NotMoved
{
    /// <summary>Something was asked for and not answered, or a transaction was open.</summary>
    Busy,

    /// <summary>It holds state, as far as is known.</summary>
    HoldsState,

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
