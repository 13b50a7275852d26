namespace Routing.Proxy.Configuration;

/// <summary>Encryption between clients and the proxy.</summary>
/// <remarks>
/// Files are PEM, read again when they change (and on a reload); a file that can't be read leaves the last good one in
/// use.
/// </remarks>
internal sealed record ClientTlsSettings
{
    /// <summary>No encryption.</summary>
    public static readonly ClientTlsSettings Off = new();

    /// <summary>What is done with a client that wants TLS. Default <see cref="ClientTlsMode.Off"/>.</summary>
    public ClientTlsMode Mode { get; init; }

    /// <summary>
    /// With <see cref="ClientTlsMode.Terminate"/>: clients that come in clear text are refused (cancel requests are
    /// not). Default no.
    /// </summary>
    public bool Required { get; init; }

    /// <summary>With <see cref="ClientTlsMode.Terminate"/>: certificate and chain, leaf first.</summary>
    public string? CertificateFile { get; init; }

    /// <summary>
    /// With <see cref="ClientTlsMode.Terminate"/>: the certificate's private key; null: it stands in the certificate's
    /// file.
    /// </summary>
    public string? KeyFile { get; init; }

    /// <summary>Whether clients have to show a certificate. Default <see cref="ClientCertificates.Ignored"/>.</summary>
    public ClientCertificates ClientCertificates { get; init; }

    /// <summary>
    /// The authorities that clients' certificates are checked against; needed unless they are ignored.
    /// </summary>
    public string? ClientAuthorityFile { get; init; }
}
