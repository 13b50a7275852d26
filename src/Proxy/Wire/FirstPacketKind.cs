namespace Routing.Proxy.Wire;

/// <summary>What the first bytes of a client are.</summary>
internal enum FirstPacketKind
{
    /// <summary>Too few bytes to tell, or the packet is not whole yet.</summary>
    Incomplete,

    /// <summary>SSLRequest: one byte is the answer, <c>S</c> or <c>N</c>.</summary>
    SslRequest,

    /// <summary>GSSENCRequest: one byte is the answer, <c>G</c> or <c>N</c>.</summary>
    GssEncRequest,

    /// <summary>CancelRequest: never answered.</summary>
    CancelRequest,

    /// <summary>A start-up message of protocol 3, whole.</summary>
    Startup,

    /// <summary>A TLS ClientHello without an SSLRequest ahead of it.</summary>
    DirectTls,

    /// <summary>A protocol that is not served: version 2, or an unknown request code.</summary>
    UnsupportedProtocol,

    /// <summary>Not PostgreSQL's protocol, or a length that can't be.</summary>
    NotPostgres,
}
