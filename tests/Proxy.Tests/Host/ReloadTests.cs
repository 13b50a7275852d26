using System.Globalization;
using System.Net.Sockets;
using Routing.Proxy.Tests.Sessions;
using Routing.Proxy.Tests.Tls;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Host;

/// <summary>SIGHUP to the real program: sessions stay, everything else may change.</summary>
[Trait("Category", "Integration")]
public sealed class ReloadTests(PretendCluster cluster) : IClassFixture<PretendCluster>
{
    [Fact]
    public async Task Listeners_come_and_go_and_get_other_names_while_their_sessions_live_on()
    {
        await using var proxy = await cluster.ProxyAsync();
        using var writer = new RawClient(proxy.WritePort);
        using var reader = new RawClient(proxy.ReadPort);
        Assert.Null(await writer.LoginAsync());
        Assert.Null(await reader.LoginAsync());
        var added = FreePorts.Take();

        // The read listener goes, one for anybody comes, and the write listener gets another name.
        proxy.Configure(new ProxyOptions
        {
            Listeners = string.Create(CultureInfo.InvariantCulture, $$"""
                  main: {listen: "127.0.0.1:{{proxy.WritePort}}", role: primary}
                  all: {listen: "127.0.0.1:{{added}}", role: any, max_sessions: 1}
                """),
        });
        await proxy.ReloadAsync();

        foreach (var client in (RawClient[])[writer, reader])
        {
            await client.QueryAsync("select 1");
            Assert.Null(await client.UntilReadyAsync());
        }
        Assert.Throws<SocketException>(() => new RawClient(proxy.ReadPort));
        using var again = new RawClient(proxy.WritePort);
        Assert.Null(await again.LoginAsync());
        using var first = new RawClient(added);
        Assert.Null(await first.LoginAsync());
        using var second = new RawClient(added);
        Assert.Equal("53300", await second.LoginAsync());
        Assert.Contains("routing_proxy_sessions{listener=\"main\",member=\"a\"} 1", await proxy.MetricsAsync(),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_listeners_may_change_places()
    {
        await using var proxy = await cluster.ProxyAsync();

        proxy.Configure(new ProxyOptions
        {
            Listeners = string.Create(CultureInfo.InvariantCulture, $$"""
                  write: {listen: "127.0.0.1:{{proxy.ReadPort}}", role: primary}
                  read: {listen: "127.0.0.1:{{proxy.WritePort}}", role: replica}
                """),
        });
        await proxy.ReloadAsync();
        var (atLeader, atReplica) = (cluster.Leader.Logins, cluster.Replica.Logins);
        using var writer = new RawClient(proxy.ReadPort);
        Assert.Null(await writer.LoginAsync());
        using var reader = new RawClient(proxy.WritePort);
        Assert.Null(await reader.LoginAsync());

        Assert.Equal((atLeader + 1, atReplica + 1), (cluster.Leader.Logins, cluster.Replica.Logins));
    }

    [Fact]
    public async Task What_can_not_be_had_changes_nothing_at_all()
    {
        await using var proxy = await cluster.ProxyAsync();
        using var taken = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        taken.Listen(1);
        var port = ((System.Net.IPEndPoint)taken.LocalEndPoint!).Port;
        var added = FreePorts.Take();
        string[] bad =
        [
            $"""
              added: {"{"}listen: "127.0.0.1:{added}", role: any{"}"}
              taken: {"{"}listen: "127.0.0.1:{port}", role: any{"}"}
            """,
            $"""
              added: {"{"}listen: "127.0.0.1:{added}", role: any, tls: {"{"}mode: terminate, certificate: /nowhere.pem{"}"}{"}"}
            """,
            $"""
              added: {"{"}listen: "127.0.0.1:{added}", role: nonsense{"}"}
            """,
        ];

        foreach (var listeners in bad)
        {
            proxy.Configure(new ProxyOptions { Listeners = listeners });
            await proxy.ReloadAsync();

            Assert.Contains("the old one stays in force", proxy.Log, StringComparison.Ordinal);
            Assert.DoesNotContain("The configuration was reloaded", proxy.Log, StringComparison.Ordinal);
            Assert.Throws<SocketException>(() => new RawClient(added));
            using var client = new RawClient(proxy.WritePort);
            Assert.Null(await client.LoginAsync());
        }
        Assert.Equal(["write", "read"],
            (await proxy.RoutesAsync())["listeners"]!.AsArray().Select(one => (string?)one!["name"]));
    }

    [Fact]
    public async Task Limits_and_certificates_are_those_of_the_file_from_then_on()
    {
        using var certificates = new CertificateFiles();
        var file = certificates.FileFor("first.example");
        var tls = new ProxyOptions { Write = $", tls: {{mode: terminate, certificate: \"{file}\"}}" };
        await using var proxy = await cluster.ProxyAsync(tls);
        Assert.Equal("CN=first.example", await SubjectAsync(proxy, certificates));

        var second = certificates.FileFor("second.example", "second.pem");
        proxy.Configure(tls with
        {
            Write = $", tls: {{mode: terminate, certificate: \"{second}\"}}",
            More = "limits: {max_sessions_per_user: 1}",
        });
        await proxy.ReloadAsync();

        Assert.Equal("CN=second.example", await SubjectAsync(proxy, certificates));
        using var one = new RawClient(proxy.WritePort);
        Assert.Null(await one.LoginAsync());
        using var other = new RawClient(proxy.WritePort);
        Assert.Equal("53300", await other.LoginAsync());
    }

    private static async Task<string> SubjectAsync(ProxyProcess proxy, CertificateFiles certificates)
    {
        using var client = new RawClient(proxy.WritePort);
        await client.SendAsync(RawClient.Packet(80_877_103, []));
        Assert.Equal('S', await client.ReadByteAsync());
        var encrypted = await client.EncryptAsync(certificates.Trusting());
        return encrypted.RemoteCertificate!.Subject;
    }
}
