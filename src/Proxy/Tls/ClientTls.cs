using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Routing.Proxy.Configuration;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Tls;

/// <summary>TLS with clients, which the proxy terminates. One for each listener.</summary>
internal sealed class ClientTls
{
    private readonly FileBacked<SslServerAuthenticationOptions> _options;

    /// <summary>Reads the certificates.</summary>
    /// <exception cref="IOException">A file is no good.</exception>
    public ClientTls(ClientTlsSettings settings)
    {
        _options =
            new([settings.CertificateFile, settings.KeyFile, settings.ClientAuthorityFile], () => Read(settings));
    }

    /// <summary>Reads the certificates again if they have changed.</summary>
    /// <exception cref="IOException">A file is no good; the last good ones stay in use.</exception>
    public bool Refresh() => _options.Refresh();

    /// <summary>Does the handshake.</summary>
    /// <param name="connection">The client; nothing of the handshake was taken from its pipe.</param>
    /// <param name="isDirect">Without an SSLRequest: the client must name PostgreSQL's protocol then.</param>
    /// <exception cref="AuthenticationException">It failed.</exception>
    /// <exception cref="IOException">The connection ended.</exception>
    public async ValueTask<TlsConnection> AcceptAsync(ITransportConnection connection, bool isDirect)
    {
        var encrypted = new TlsConnection(connection);
        await encrypted.AcceptAsync(_options.Value);
        return !isDirect || encrypted.IsPostgres ? encrypted
            : throw new AuthenticationException("Direct TLS without the application protocol \"postgresql\".");
    }

    private static SslServerAuthenticationOptions Read(ClientTlsSettings settings)
    {
        if (settings.CertificateFile is not { } certificate)
        {
            throw new IOException("TLS can't be terminated without a certificate: name its file.");
        }
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = TlsIdentity.Read(certificate, settings.KeyFile),
            ApplicationProtocols = [PostgresAlpn.Protocol],
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            AllowRenegotiation = false,
        };
        if (settings.ClientCertificates != ClientCertificates.Ignored)
        {
            if (settings.ClientAuthorityFile is not { } authorities)
            {
                throw new IOException(
                    "Clients' certificates can't be checked without their authorities: name the file.");
            }
            var isRequired = settings.ClientCertificates == ClientCertificates.Required;
            options.ClientCertificateRequired = true;
            options.CertificateChainPolicy = TlsIdentity.ReadAuthorities(authorities);
            options.CertificateRevocationCheckMode = X509RevocationMode.NoCheck;
            options.RemoteCertificateValidationCallback =
                (_, shown, _, errors) => shown is null ? !isRequired : errors == SslPolicyErrors.None;
        }
        return options;
    }
}
