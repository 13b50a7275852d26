namespace Routing.Proxy.Configuration;

/// <summary>Which statements are repeated at another server, where theirs is lost.</summary>
internal enum ReplayMode
{
    /// <summary>None.</summary>
    Off,

    /// <summary>
    /// The first statement of a transaction, or one outside a transaction, that certainly had no effect: the server has
    /// refused it as read-only or as not ready, or it was not sent.
    /// </summary>
    FirstStatement,
}
