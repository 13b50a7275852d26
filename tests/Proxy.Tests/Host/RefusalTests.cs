using System.Net;
using Microsoft.Extensions.Time.Testing;
using Routing.Proxy.Sessions.Refusals;
using Routing.Proxy.Tests.Sessions;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Host;

/// <summary>Clients that are turned away leave a line in the log, and no more than one can read.</summary>
[Trait("Category", "Integration")]
public sealed class RefusalTests(PretendCluster cluster) : IClassFixture<PretendCluster>
{
    private const int SslRequest = 80_877_103;

    [Fact]
    public async Task The_program_names_who_was_turned_away_and_what_was_wrong()
    {
        using var certificates = new CertificateFiles();
        await using var proxy = await cluster.ProxyAsync(new ProxyOptions
        {
            Write = $", tls: {{mode: terminate, certificate: {certificates.FileFor("localhost")}}}",
        });
        using var stranger = new RawClient(proxy.WritePort);
        await stranger.SendAsync("GET / HTTP/1.1\r\n\r\n"u8.ToArray());
        using var broken = new RawClient(proxy.WritePort);
        await broken.SendAsync(RawClient.Packet(SslRequest, []));
        Assert.Equal('S', await broken.ReadByteAsync());
        await broken.SendAsync([0x16, 3, 1, 0, 5, .. "hello"u8]);

        await proxy.UntilAsync(
            () => Task.FromResult(proxy.Log.Contains("turned away on write (not_postgres)", StringComparison.Ordinal)
                && proxy.Log.Contains("turned away on write (tls_failed): ", StringComparison.Ordinal)),
            "both are named");

        Assert.DoesNotContain("inner exception", proxy.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_many_one_is_named_and_the_others_are_counted()
    {
        var time = new FakeTimeProvider();
        using var lines = new LogLines();
        var log = new RefusalLog(time, lines);
        var client = new IPEndPoint(IPAddress.Loopback, 5);

        log.Note("write", RefusalReason.Probe, client, null);
        log.Note("write", RefusalReason.ClientGone, client, null);
        for (var count = 0; count < 100; count++)
        {
            log.Note("write", RefusalReason.NotPostgres, client, null);
        }
        log.Note("read", RefusalReason.NotPostgres, null, null);
        log.Note("write", RefusalReason.TlsFailed, client, "no common cipher");
        var first = lines.Lines.ToList();
        time.Advance(TimeSpan.FromSeconds(11));
        log.Note("write", RefusalReason.NotPostgres, client, null);

        Assert.Equal(3, first.Count);
        Assert.Contains("A client from 127.0.0.1:5 was turned away on write (not_postgres)", first[0],
            StringComparison.Ordinal);
        Assert.Contains("A client from a Unix domain socket was turned away on read", first[1],
            StringComparison.Ordinal);
        Assert.Contains("(tls_failed): no common cipher", first[2], StringComparison.Ordinal);
        Assert.Contains("(not_postgres) (99 more like it before)", lines.Lines.Last(), StringComparison.Ordinal);
    }
}
