namespace Routing.Proxy.Configuration;

/// <summary>
/// Encryption between the proxy and members. A refusal by the member is never answered with clear text.
/// </summary>
internal sealed record MemberTlsSettings
{
    /// <summary>No encryption.</summary>
    public static readonly MemberTlsSettings Off = new();

    /// <summary>Whether TLS is used and what is verified. Default <see cref="MemberTlsMode.Off"/>.</summary>
    public MemberTlsMode Mode { get; init; }

    /// <summary>
    /// TLS from the first byte (ALPN <c>postgresql</c>; PostgreSQL 17 and later) instead of an <c>SSLRequest</c>.
    /// Default no.
    /// </summary>
    public bool Direct { get; init; }

    /// <summary>
    /// The authorities that members' certificates are checked against (PEM); null: those of the system.
    /// </summary>
    public string? AuthorityFile { get; init; }

    /// <summary>The proxy's own certificate for members that ask for one (PEM); null: none.</summary>
    public string? CertificateFile { get; init; }

    /// <summary>Its private key; null: it stands in the certificate's file.</summary>
    public string? KeyFile { get; init; }

    /// <summary>
    /// Whether <c>SCRAM-SHA-256-PLUS</c> is taken out of the server's offer to a client in clear text. Default yes:
    /// libpq and most others refuse an offer that they can't use. Npgsql takes its absence for a server that can't
    /// bind, says so, and is refused by the server for that: it needs the offer, and <c>Channel Binding=Disable</c>.
    /// </summary>
    public bool HideChannelBinding { get; init; } = true;
}
