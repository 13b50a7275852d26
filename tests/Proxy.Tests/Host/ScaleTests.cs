using System.Globalization;
using System.Net.Sockets;
using Routing.Proxy.Tests.Sessions;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Host;

/// <summary>
/// The real program with as many sessions as the limit of open files allows, and after very many short ones.
/// </summary>
[Trait("Category", "Integration")]
public sealed class ScaleTests(PretendCluster cluster, ITestOutputHelper output) : IClassFixture<PretendCluster>
{
    private const int AtOnce = 32;
    private const int OwnDescriptors = 1_000;   // of the tests' process, which holds the clients' ends and the servers'

    // A million take minutes: ROUTING_TEST_CONNECTIONS=1000000.
    private static readonly int s_connections =
        int.TryParse(Environment.GetEnvironmentVariable("ROUTING_TEST_CONNECTIONS"), out var wanted) ? wanted : 20_000;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task As_many_sessions_as_the_limit_of_open_files_allows_open_work_and_close()
    {
        await using var proxy = await cluster.ProxyAsync();
        await SessionAsync(proxy, reset: false);
        await UntilNobodyIsThereAsync(proxy);
        var (descriptors, before) = (Descriptors(proxy), ResidentKiB(proxy));
        var count = (int)Math.Min(LimitOf(proxy), LimitOf("self")) / 2 - OwnDescriptors / 2;
        var clients = new RawClient[count];

        await ForAllAsync(count, async number =>
        {
            clients[number] = new RawClient(proxy.WritePort);
            Assert.Null(await clients[number].LoginAsync());
        });
        var idle = ResidentKiB(proxy);
        // The client hears of its login a moment before the session counts.
        var open = string.Create(CultureInfo.InvariantCulture,
            $"routing_proxy_sessions{{listener=\"write\",member=\"a\"}} {count}\n");
        await proxy.UntilAsync(async () => (await proxy.MetricsAsync()).Contains(open, StringComparison.Ordinal),
            "all sessions are counted");
        await ForAllAsync(count, async number =>
        {
            await clients[number].QueryAsync("select 1");
            Assert.Null(await clients[number].UntilReadyAsync());
        });
        await ForAllAsync(count, async number =>
        {
            await clients[number].SendAsync(BackendMessage.Of('X'));
            clients[number].Dispose();
        });

        await UntilNobodyIsThereAsync(proxy);
        await proxy.UntilAsync(() => Descriptors(proxy) <= descriptors, "all descriptors are closed");
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{count} sessions; resident {before} KiB before, {idle} with all idle: "
                + $"{(idle - before) / (double)count:0.00} KiB each"));
    }

    [Fact]
    public async Task Very_many_short_connections_leave_nothing_behind()
    {
        await using var proxy = await cluster.ProxyAsync();
        // what grows once has grown by then
        await ForAllAsync(s_connections / 4, number => SessionAsync(proxy, reset: number % 2 == 0));
        await UntilNobodyIsThereAsync(proxy);
        var (descriptors, before) = (Descriptors(proxy), ResidentKiB(proxy));

        await ForAllAsync(s_connections, number => SessionAsync(proxy, reset: number % 2 == 0));

        await UntilNobodyIsThereAsync(proxy);
        await proxy.UntilAsync(() => Descriptors(proxy) <= descriptors, "all descriptors are closed");
        var after = ResidentKiB(proxy);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{s_connections} connections; resident {before} KiB before, {after} after"));
        Assert.True(after < before + 16 * 1024, $"it has grown from {before} to {after} KiB");
    }

    private static Task ForAllAsync(int count, Func<int, Task> work) => Parallel.ForAsync(
        0, count, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = Cancellation },
        async (number, _) => await work(number));

    // Ended in words, or by a reset.
    private static async Task SessionAsync(ProxyProcess proxy, bool reset)
    {
        using var client = new RawClient(proxy.WritePort);
        Assert.Null(await client.LoginAsync());
        await client.QueryAsync("select 1");
        Assert.Null(await client.UntilReadyAsync());
        if (reset)
        {
            client.Socket.LingerState = new LingerOption(true, 0);
        }
        else
        {
            await client.SendAsync(BackendMessage.Of('X'));
        }
    }

    private static Task UntilNobodyIsThereAsync(ProxyProcess proxy) => proxy.UntilAsync(
        async () => await proxy.RoutesAsync() is var routes && (int)routes["pending"]! + (int)routes["starting"]! == 0
            && routes["listeners"]!.AsArray().SelectMany(listener => listener!["members"]!.AsArray())
                .All(member => (int)member!["sessions"]! == 0),
        "no session is left");

    private static int Descriptors(ProxyProcess proxy) => Directory.GetFiles($"/proc/{proxy.Id}/fd")
        .Count(path =>
            new FileInfo(path).LinkTarget is { } target && target.StartsWith("socket:", StringComparison.Ordinal));

    private static long ResidentKiB(ProxyProcess proxy) => long.Parse(
        File.ReadLines($"/proc/{proxy.Id}/status").First(line => line.StartsWith("VmRSS:", StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
        CultureInfo.InvariantCulture);

    private static long LimitOf(ProxyProcess proxy) => LimitOf(proxy.Id.ToString(CultureInfo.InvariantCulture));

    private static long LimitOf(string process) => long.Parse(
        File.ReadLines($"/proc/{process}/limits")
            .First(line => line.StartsWith("Max open files", StringComparison.Ordinal))["Max open files".Length..]
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[0],
        CultureInfo.InvariantCulture);
}
