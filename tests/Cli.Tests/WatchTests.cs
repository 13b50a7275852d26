using Microsoft.Extensions.Time.Testing;
using Routing.Cli.Commands;
using Routing.TestKit;

namespace Routing.Cli.Tests;

public sealed class WatchTests
{
    [Fact]
    public async Task A_watch_shows_the_table_after_each_interval_until_it_is_interrupted()
    {
        var time = new FakeTimeProvider(Ctl.Noon);
        var ctl = new Ctl { Time = time, IsTerminal = true }.WithPay();
        var reads = 0;
        ctl.Store = () => Counted(ctl, () => Interlocked.Increment(ref reads));
        using var interrupted = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var running = ctl.RunAsync(["list", "pay", "-w", "5", "-f", "tsv"], [], interrupted.Token);

        await WaitUntil.TrueAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return Volatile.Read(ref reads) >= 3;
        });
        await interrupted.CancelAsync();
        var ended = await running;

        Assert.True(time.GetUtcNow() - Ctl.Noon >= TimeSpan.FromSeconds(10), "two intervals lie between three tables");
        Assert.Equal((1, "Aborted!\n"), (ended.ExitCode, ended.Error));
        Assert.StartsWith("\e[?25l\e[H\e[2J\e[HCluster\tMember\t", ended.Output, StringComparison.Ordinal);
        Assert.EndsWith("\e[K\n\e[J\e[?25h", ended.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_watch_on_a_terminal_has_colours()
    {
        var ctl = new Ctl { Time = TimeProvider.System, IsTerminal = true, HasColours = true }.WithPay();
        ctl.PutStandby("http://10.1.0.12:8008/patroni", ""","pending_restart":true""");
        var reads = 0;
        ctl.Store = () => Counted(ctl, () => Interlocked.Increment(ref reads));
        using var interrupted = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);

        var running = ctl.RunAsync(["list", "pay", "-w", "0.1"], [], interrupted.Token);
        await WaitUntil.TrueAsync(() => Volatile.Read(ref reads) >= 2);
        await interrupted.CancelAsync();
        var ended = await running;
        var once = await ctl.RunAsync("list pay");

        Assert.Contains("| \e[1;32mLeader\e[0m         | running   |", ended.Output, StringComparison.Ordinal);
        Assert.Contains("| \e[36mQuorum Standby\e[0m | streaming |", ended.Output, StringComparison.Ordinal);
        Assert.Contains("| \e[33m*\e[0m               |", ended.Output, StringComparison.Ordinal);
        Assert.DoesNotContain('\e', once.Output);
    }

    [Fact]
    public async Task A_watch_outlives_a_DCS_that_does_not_answer()
    {
        var time = new FakeTimeProvider(Ctl.Noon);
        var ctl = new Ctl { Time = time }.WithPay();
        var reads = 0;
        var store = Counted(ctl, () => Interlocked.Increment(ref reads));
        store.RequestTimeout = TimeSpan.FromMilliseconds(50);
        store.IsCutOff = true;
        ctl.Store = () => store;
        using var interrupted = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var running = ctl.RunAsync(["topology", "pay", "-W"], [], interrupted.Token);

        await WaitUntil.TrueAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return Volatile.Read(ref reads) >= 2;
        });
        store.IsCutOff = false;
        await WaitUntil.TrueAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return Volatile.Read(ref reads) >= 5;
        });
        await interrupted.CancelAsync();
        var ended = await running;

        Assert.Contains("Error: ", ended.Error, StringComparison.Ordinal);
        Assert.Contains("+ Cluster: pay (", ended.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_interval_is_the_given_one_else_two_seconds_else_none()
    {
        Assert.Equal(TimeSpan.FromSeconds(0.5), Watching.Interval(byDefault: true, seconds: 0.5));
        Assert.Equal(TimeSpan.FromSeconds(2), Watching.Interval(byDefault: true, seconds: null));
        Assert.Null(Watching.Interval(byDefault: false, seconds: null));
    }

    private static InMemoryClusterStore Counted(Ctl ctl, Action count)
    {
        var store = ctl.Dcs.Connect();
        store.RequestDelay = () =>
        {
            count();
            return TimeSpan.Zero;
        };
        return store;
    }
}
