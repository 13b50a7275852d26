namespace Routing.Proxy.Wire;

/// <summary>What the beginning of a connection is as a PROXY header.</summary>
internal enum ProxyHeaderStatus
{
    /// <summary>Not whole yet.</summary>
    Incomplete,

    /// <summary>None, or a broken one.</summary>
    Invalid,

    /// <summary>
    /// The balancer speaks for itself (LOCAL, a health probe), or the address is of a kind unknown here: the socket's
    /// counts.
    /// </summary>
    Local,

    /// <summary>Names the client's address.</summary>
    Proxied,
}
