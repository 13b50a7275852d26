using System.Buffers;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Routing.Proxy.Configuration;
using Routing.Proxy.Members;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Tls;

/// <summary>TLS with members, which the proxy originates. One for each listener.</summary>
internal sealed class MemberTls
{
    private readonly MemberTlsSettings _settings;
    private readonly FileBacked<Identity> _identity;

    /// <summary>Reads the certificates.</summary>
    /// <exception cref="IOException">A file is no good.</exception>
    public MemberTls(MemberTlsSettings settings)
    {
        _settings = settings;
        _identity = new([settings.AuthorityFile, settings.CertificateFile, settings.KeyFile], () => new Identity(
            settings.AuthorityFile is { } authorities ? TlsIdentity.ReadAuthorities(authorities) : null,
            settings.CertificateFile is { } certificate ? TlsIdentity.Read(certificate, settings.KeyFile) : null));
    }

    /// <summary>Reads the certificates again if they have changed.</summary>
    /// <exception cref="IOException">A file is no good; the last good ones stay in use.</exception>
    public bool Refresh() => _identity.Refresh();

    /// <summary>Agrees on TLS and does the handshake. Never falls back to clear text.</summary>
    /// <param name="connection">To the member; nothing was read from it.</param>
    /// <param name="hostName">The member's own name, as published.</param>
    /// <returns>The encrypted connection, or why there is none.</returns>
    /// <exception cref="IOException">The connection ended.</exception>
    public async ValueTask<(TlsConnection? Encrypted, LoginFailure? Failure)> ConnectAsync(
        ITransportConnection connection, string hostName)
    {
        if (!_settings.Direct && await AskAsync(connection) is { } refusal)
        {
            return (null, refusal);
        }
        var encrypted = new TlsConnection(connection);
        try
        {
            await encrypted.ConnectAsync(Options(hostName));
        }
        catch (AuthenticationException)
        {
            return (null, LoginFailure.TlsFailed);
        }
        return _settings.Direct && !encrypted.IsPostgres ? (null, LoginFailure.TlsFailed) : (encrypted, null);
    }

    private static async ValueTask<LoginFailure?> AskAsync(ITransportConnection connection)
    {
        connection.Output.Write(FirstPacket.SslRequest);
        await connection.Output.FlushAsync();
        while (true)
        {
            var result = await connection.Input.ReadAsync();
            var answer = result.Buffer;
            if (answer.IsEmpty && result is { IsCompleted: false })
            {
                connection.Input.AdvanceTo(answer.Start);
                continue;
            }
            // More than the one byte would be clear text in place of the handshake: an injection.
            LoginFailure? failure = answer.IsEmpty ? LoginFailure.Dropped
                : (char)answer.FirstSpan[0] switch
                {
                    'S' when answer.Length == 1 => null,
                    'S' => LoginFailure.TlsFailed,
                    'N' => LoginFailure.TlsRefused,
                    // an error of the server; it is not authenticated, so that nothing of it is relayed
                    'E' => LoginFailure.NotReady,
                    _ => LoginFailure.NotPostgres,
                };
            connection.Input.AdvanceTo(failure is null ? answer.End : answer.Start);
            return failure;
        }
    }

    private SslClientAuthenticationOptions Options(string hostName)
    {
        var (authorities, certificate) = _identity.Value;
        return new SslClientAuthenticationOptions
        {
            TargetHost = hostName,
            ApplicationProtocols = [PostgresAlpn.Protocol],
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            CertificateChainPolicy = authorities,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            ClientCertificateContext = certificate,
            RemoteCertificateValidationCallback = (_, shown, _, errors) => _settings.Mode switch
            {
                MemberTlsMode.Require => shown is not null,
                MemberTlsMode.VerifyCa =>
                    (errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) == SslPolicyErrors.None,
                _ => errors == SslPolicyErrors.None,
            },
        };
    }

    private sealed record Identity(X509ChainPolicy? Authorities, SslStreamCertificateContext? Certificate);
}
