using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Routing.Agent.Config;

namespace Routing.Agent.Tests.Rest;

/// <summary>REST over TLS, with and without client certificates.</summary>
public sealed class TlsTests : IDisposable
{
    private readonly TestCertificates _certificates = new();

    [Fact]
    public async Task Everything_is_answered_over_TLS_and_a_new_certificate_shows_after_a_reload()
    {
        var settings = RestHost.Loopback() with { CertificateFile = _certificates.Issue("server", 1, "pass"),
            KeyFilePassword = "pass" };
        await using var host = await RestHost.StartAsync(Nodes.Primary, settings);

        var (probe, before) = await AskAsync(settings, "OPTIONS /primary HTTP/1.0\r\n\r\n");
        var (get, _) = await AskAsync(settings, "GET /primary HTTP/1.1\r\nHost: x\r\n\r\n");
        _certificates.Issue("server", 2, "pass");
        var (_, unchanged) = await AskAsync(settings, "OPTIONS /primary HTTP/1.0\r\n\r\n");
        await host.Server.ReloadAsync(settings, TestContext.Current.CancellationToken);
        var (_, after) = await AskAsync(settings, "OPTIONS /primary HTTP/1.0\r\n\r\n");

        Assert.Equal("HTTP/1.0 200 OK\r\n\r\n", probe);
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", get, StringComparison.Ordinal);
        Assert.Equal(("01", "01", "02"), (before, unchanged, after));
    }

    [Fact]
    public async Task A_broken_certificate_on_reload_leaves_the_old_one_in_use()
    {
        var settings = RestHost.Loopback() with { CertificateFile = _certificates.Issue("server", 1) };
        await using var host = await RestHost.StartAsync(Nodes.Primary, settings);
        await File.WriteAllTextAsync(settings.CertificateFile, "broken", TestContext.Current.CancellationToken);

        var problem = await Assert.ThrowsAsync<InvalidOperationException>(
            () => host.Server.ReloadAsync(settings, TestContext.Current.CancellationToken));
        var (probe, _) = await AskAsync(settings, "OPTIONS /primary HTTP/1.0\r\n\r\n");

        Assert.Contains(settings.CertificateFile, problem.Message, StringComparison.Ordinal);
        Assert.Equal("HTTP/1.0 200 OK\r\n\r\n", probe);
    }

    [Theory]
    [InlineData(ClientVerification.None, false, "200", "202")]
    [InlineData(ClientVerification.Optional, false, "200", "403")]
    [InlineData(ClientVerification.Optional, true, "200", "202")]
    [InlineData(ClientVerification.Required, false, "", "")]
    [InlineData(ClientVerification.Required, true, "200", "202")]
    public async Task Client_certificates_are_asked_for_as_configured(
        ClientVerification verification, bool shows, string safe, string unsafeCode)
    {
        var settings = RestHost.Loopback() with
        {
            CertificateFile = _certificates.Issue("server", 1),
            CaFile = _certificates.CaFile,
            VerifyClient = verification,
        };
        await using var host = await RestHost.StartAsync(Nodes.Primary, settings);
        using var client = shows ? Load(_certificates.Issue("client", 9)) : null;

        var get = await AskOrRefusedAsync(settings, "GET /primary HTTP/1.1\r\nHost: x\r\n\r\n", client);
        var post =
            await AskOrRefusedAsync(settings, "POST /reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", client);

        Assert.Equal((safe, unsafeCode), (Code(get), Code(post)));
    }

    [Fact]
    public async Task A_certificate_of_a_stranger_is_refused_in_the_handshake()
    {
        using var strangers = new TestCertificates();
        var settings = RestHost.Loopback() with
        {
            CertificateFile = _certificates.Issue("server", 1),
            CaFile = _certificates.CaFile,
            VerifyClient = ClientVerification.Optional,
        };
        await using var host = await RestHost.StartAsync(Nodes.Primary, settings);
        using var stranger = Load(strangers.Issue("stranger", 9));

        Assert.Equal("", await AskOrRefusedAsync(settings, "GET /primary HTTP/1.1\r\nHost: x\r\n\r\n", stranger));
    }

    public void Dispose() => _certificates.Dispose();

    private static X509Certificate2 Load(string file)
    {
        using var pem = X509Certificate2.CreateFromPemFile(file);
        return X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);
    }

    private static string Code(string answer) => answer.Length == 0 ? "" : answer.Split(' ')[1];

    private static async Task<string> AskOrRefusedAsync(RestSettings settings, string request, X509Certificate2? client)
    {
        try
        {
            return (await AskAsync(settings, request, client)).Answer;
        }
        catch (Exception refused) when (refused is IOException or AuthenticationException)
        {
            return "";
        }
    }

    private static async Task<(string Answer, string Serial)> AskAsync(
        RestSettings settings, string request, X509Certificate2? client = null)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, settings.Listen.Port, cancellationToken);
        await using var tls = new SslStream(tcp.GetStream());
        var serial = "";
        await tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions
            {
                TargetHost = "server",
                ClientCertificates = client is null ? null : [client],
                RemoteCertificateValidationCallback = (_, certificate, _, _) =>
                {
                    serial = certificate!.GetSerialNumberString();
                    return serial.Length > 0;
                },
            },
            cancellationToken);
        await tls.WriteAsync(Encoding.ASCII.GetBytes(request), cancellationToken);
        using var answer = new StreamReader(tls, Encoding.Latin1);
        return (await answer.ReadToEndAsync(cancellationToken).WaitAsync(TimeSpan.FromSeconds(15), cancellationToken),
            serial);
    }
}
