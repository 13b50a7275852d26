namespace Routing.Proxy.Wire;

/// <summary>Version of the PROXY header that is sent.</summary>
internal enum ProxyProtocolVersion
{
    /// <summary>No header.</summary>
    None,

    /// <summary>One line of text.</summary>
    V1,

    /// <summary>Binary.</summary>
    V2,
}
