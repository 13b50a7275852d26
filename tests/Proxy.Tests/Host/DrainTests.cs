using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;
using Routing.Proxy.Tests.Sessions;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Host;

/// <summary>The end of the real program, and what it says to its service manager.</summary>
[Trait("Category", "Integration")]
public sealed class DrainTests : IClassFixture<PretendCluster>
{
    private static readonly byte[] s_begun = [.. BackendMessage.Of('C', "BEGIN\0"u8), .. BackendMessage.Ready('T')];
    private readonly PretendCluster _cluster;

    public DrainTests(PretendCluster cluster)
    {
        _cluster = cluster;
        cluster.Leader.Answer = sql => sql == "begin" ? s_begun : null;
    }

    [Fact]
    public async Task Told_to_end_it_lets_transactions_end_and_tells_everybody_else()
    {
        await using var proxy = await _cluster.ProxyAsync(new ProxyOptions { More = "timeouts: {drain: 30}" });
        using var resting = new RawClient(proxy.WritePort);
        using var busy = await InTransactionAsync(proxy);
        Assert.Null(await resting.LoginAsync());

        proxy.Send(ProcessSignal.Terminate);

        Assert.Equal("57P01", await resting.UntilReadyAsync());
        Assert.Equal((503, "draining\n"), await proxy.GetAsync("/readyz"));
        Assert.Throws<SocketException>(() => new RawClient(proxy.WritePort));
        await busy.QueryAsync("commit");
        Assert.Null(await busy.UntilReadyAsync());
        Assert.Equal("57P01", await busy.UntilReadyAsync());
        Assert.Equal(0, await proxy.WaitForExitAsync());
    }

    [Fact]
    public async Task What_runs_when_the_time_is_over_is_cut()
    {
        await using var proxy = await _cluster.ProxyAsync(new ProxyOptions { More = "timeouts: {drain: 1}" });
        using var busy = await InTransactionAsync(proxy);

        var begun = Stopwatch.GetTimestamp();
        proxy.Send(ProcessSignal.Terminate);

        Assert.Equal("57P01", await busy.UntilReadyAsync());
        Assert.Equal(0, await proxy.WaitForExitAsync());
        var took = Stopwatch.GetElapsedTime(begun);
        Assert.True(took > TimeSpan.FromSeconds(0.9), $"cut after {took}");
        BusyMachine.AssertWithin(TimeSpan.FromSeconds(8), took);
    }

    [Fact]
    public async Task Told_twice_it_ends_at_once()
    {
        await using var proxy = await _cluster.ProxyAsync(new ProxyOptions { More = "timeouts: {drain: 600}" });
        using var busy = await InTransactionAsync(proxy);
        proxy.Send(ProcessSignal.Terminate);
        await proxy.UntilAsync(() => proxy.Log.Contains("Draining", StringComparison.Ordinal), "it drains");

        proxy.Send(ProcessSignal.Terminate);

        Assert.Equal("57P01", await busy.UntilReadyAsync());
        Assert.Equal(0, await proxy.WaitForExitAsync());
    }

    [Fact]
    public async Task Who_waits_for_a_leader_is_sent_away()
    {
        await using var proxy = await _cluster.ProxyAsync();
        await _cluster.LeadAsync(null);
        await proxy.UntilAsync(async () => !await proxy.IsReadyAsync(), "it knows that nobody leads");
        using var waiting = new RawClient(proxy.WritePort);
        var login = waiting.LoginAsync();
        await proxy.UntilAsync(async () => (int)(await proxy.RoutesAsync())["waiting"]! == 1, "it waits");

        proxy.Send(ProcessSignal.Terminate);

        Assert.Equal("57P03", await login);
        Assert.Equal(0, await proxy.WaitForExitAsync());
        await _cluster.LeadAsync("a");
    }

    [Fact]
    public async Task The_service_manager_is_told_how_it_is()
    {
        using var directory = new TempDirectory("notify");
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        manager.Bind(new UnixDomainSocketEndPoint(directory["socket"]));
        OrdinaryProcess.GiveAway(directory.Path);
        OrdinaryProcess.GiveAway(directory["socket"]);
        // Read at once whatever the test does: the socket's queue holds ten, and the signs of life come every 100 ms.
        var told = Channel.CreateUnbounded<string>();
        using var isOver = new CancellationTokenSource();
        var reading = ReadAsync(manager, told.Writer, isOver.Token);

        await using var proxy = await _cluster.ProxyAsync(new ProxyOptions
        {
            Prefix = ["env", $"NOTIFY_SOCKET={directory["socket"]}", "WATCHDOG_USEC=200000"],
        });
        Assert.Contains("READY=1", await UntilToldAsync(told.Reader, "READY=1"), StringComparison.Ordinal);
        await UntilToldAsync(told.Reader, "WATCHDOG=1");
        await proxy.ReloadAsync();
        await UntilToldAsync(told.Reader, "RELOADING=1");
        await UntilToldAsync(told.Reader, "READY=1");
        proxy.Send(ProcessSignal.Terminate);
        await UntilToldAsync(told.Reader, "STOPPING=1");

        Assert.Equal(0, await proxy.WaitForExitAsync());
        await isOver.CancelAsync();
        await reading;
    }

    private static async Task<RawClient> InTransactionAsync(ProxyProcess proxy)
    {
        var client = new RawClient(proxy.WritePort);
        Assert.Null(await client.LoginAsync());
        await client.QueryAsync("begin");
        Assert.Null(await client.UntilReadyAsync());
        return client;
    }

    private static async Task ReadAsync(Socket manager, ChannelWriter<string> told, CancellationToken isOver)
    {
        var buffer = new byte[4096];
        try
        {
            while (true)
            {
                told.TryWrite(Encoding.UTF8.GetString(buffer, 0, await manager.ReceiveAsync(buffer, isOver)));
            }
        }
        catch (OperationCanceledException)
        {
            // the test is over
        }
    }

    private static async Task<string> UntilToldAsync(ChannelReader<string> told, string what)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20), TimeProvider.System);
        while (true)
        {
            var text = await told.ReadAsync(limit.Token);
            if (text.Split('\n').Contains(what))
            {
                return text;
            }
        }
    }
}
