namespace Routing.Proxy.Configuration;

/// <summary>Whether clients have to show a certificate.</summary>
internal enum ClientCertificates
{
    /// <summary>Not asked for.</summary>
    Ignored,

    /// <summary>Asked for; checked when there is one.</summary>
    Optional,

    /// <summary>Asked for; without one the handshake fails.</summary>
    Required,
}
