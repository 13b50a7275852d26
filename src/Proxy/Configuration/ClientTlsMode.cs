namespace Routing.Proxy.Configuration;

/// <summary>What is done with a client that wants TLS.</summary>
internal enum ClientTlsMode
{
    /// <summary>Answered with <c>N</c>; direct TLS is closed.</summary>
    Off,

    /// <summary>
    /// Relayed to the member, which does TLS itself: the proxy sees neither user nor database nor transactions, has no
    /// words for the client, and can't check the role of the server.
    /// </summary>
    PassThrough,

    /// <summary>The proxy does TLS with its own certificate.</summary>
    Terminate,
}
