using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Routing.Cli.Rest;
using Routing.Cluster;
using Routing.TestKit;

namespace Routing.Cli.Tests;

public sealed class MemberApiTlsTests : IDisposable
{
    private readonly TempDirectory _directory = new();
    private readonly X509Certificate2 _authority;
    private readonly X509Certificate2 _server;

    public MemberApiTlsTests()
    {
        using var authorityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var authority = new CertificateRequest("CN=authority", authorityKey, HashAlgorithmName.SHA256);
        authority.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        _authority = authority.CreateSelfSigned(Ctl.Noon.AddYears(-1), Ctl.Noon.AddYears(20));
        _server = Issue("CN=member", "127.0.0.1");
        File.WriteAllText(_directory["ca.pem"], _authority.ExportCertificatePem());
        using var client = Issue("CN=operator", "127.0.0.2");
        using var clientKey = client.GetECDsaPrivateKey()!;
        File.WriteAllText(_directory["client.pem"], client.ExportCertificatePem());
        File.WriteAllText(
            _directory["client.key"],
            clientKey.ExportEncryptedPkcs8PrivateKeyPem(
                "open", new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000)));
    }

    [Fact]
    public async Task A_certificate_of_an_unknown_authority_is_refused_with_a_way_out()
    {
        var refused = await Assert.ThrowsAsync<NoAnswerException>(() => AskAsync(new ApiSettings()));

        Assert.Contains("ctl.cacert", refused.Message, StringComparison.Ordinal);
        Assert.False(refused.MayHaveArrived);
    }

    [Fact]
    public async Task A_certificate_of_the_configured_authority_is_trusted()
    {
        var answer = await AskAsync(new ApiSettings { CaFile = _directory["ca.pem"] });

        Assert.Equal((HttpStatusCode.OK, "CN=?"), (answer.Status, answer.Text));
    }

    [Fact]
    public async Task Insecure_trusts_everybody()
    {
        var answer = await AskAsync(new ApiSettings { Insecure = true });

        Assert.Equal(HttpStatusCode.OK, answer.Status);
    }

    /// <summary>The answer is no version; a certificate that is not trusted would be the problem instead.</summary>
    [Fact]
    public async Task The_option_insecure_trusts_everybody()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = ServeAsync(listener);
        var ctl = new Ctl().WithPay(apiOfLeader: $"https://{listener.LocalEndpoint}/patroni");

        var ended = await ctl.RunAsync("-k version pay pg-a");
        listener.Stop();
        await serving;

        Assert.Contains("pg-a: failed to get version", ended.Output + ended.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("certificate", ended.Output + ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_client_certificate_is_shown_also_with_an_encrypted_key()
    {
        var answer = await AskAsync(new ApiSettings
        {
            CaFile = _directory["ca.pem"],
            CertificateFile = _directory["client.pem"],
            KeyFile = _directory["client.key"],
            KeyPassword = "open",
        });

        Assert.Equal("CN=operator", answer.Text);
    }

    [Fact]
    public void A_file_that_can_not_be_read_is_named()
    {
        var missing = Assert.Throws<CtlException>(
            () => new MemberApi(new ApiSettings { CaFile = "/nonexistent.pem" }, TimeProvider.System));

        Assert.Contains("/nonexistent.pem", missing.Message, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _server.Dispose();
        _authority.Dispose();
        _directory.Dispose();
    }

    /// <summary>Asks a server that answers one request with the name of the client's certificate.</summary>
    private async Task<ApiAnswer> AskAsync(ApiSettings settings)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = ServeAsync(listener);
        using var api = new MemberApi(settings, TimeProvider.System);
        var member = new Member { Name = "a", ApiUrl = $"https://{listener.LocalEndpoint}/patroni" };
        try
        {
            return await api.SendAsync(member, HttpMethod.Get, null, null, TimeSpan.FromSeconds(10),
                TestContext.Current.CancellationToken);
        }
        finally
        {
            listener.Stop();
            await serving;
        }
    }

    private async Task ServeAsync(TcpListener listener)
    {
        try
        {
            using var connection = await listener.AcceptTcpClientAsync();
            await using var stream = new SslStream(connection.GetStream());
            await stream.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
            {
                ServerCertificate = _server,
                ClientCertificateRequired = true,
                RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is null or X509Certificate2,
            });
            using var reader = new StreamReader(stream, leaveOpen: true);
            while (await reader.ReadLineAsync() is { Length: > 0 })
            {
                // The request's head; its end is an empty line.
            }
            var name = stream.RemoteCertificate?.Subject ?? "CN=?";
            await stream.WriteAsync(
                Encoding.ASCII.GetBytes($"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n{name}"));
        }
        catch (Exception e) when (e is IOException or System.Security.Authentication.AuthenticationException
            or SocketException)
        {
            // The client turned away: that is what the test looks at.
        }
    }

    private X509Certificate2 Issue(string name, string address)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Parse(address));
        request.CertificateExtensions.Add(names.Build());
        using var issued =
            request.Create(_authority, _authority.NotBefore, _authority.NotAfter, [.. Guid.NewGuid().ToByteArray()]);
        using var withKey = issued.CopyWithPrivateKey(key);
        // Taken through PKCS#12, so that the key is one that the platform's TLS takes.
        return X509CertificateLoader.LoadPkcs12(
            withKey.Export(X509ContentType.Pkcs12), null, X509KeyStorageFlags.Exportable);
    }
}
