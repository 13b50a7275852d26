using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.TestKit;

namespace Routing.Driver.Tests.Real;

/// <summary>
/// 64 callers while the cluster is broken: nobody hangs, nobody writes to a read-only server twice, nothing is lost.
/// </summary>
[Collection(SharedCluster.Name)]
[Trait("Category", "Faults")]
[Trait("Runs", "Last")]
public sealed class FaultTests(DriverCluster fixture)
{
    private const int Callers = 64;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task A_crashed_postmaster(bool inUnits) => CallersSurviveAsync(inUnits, async (cluster, leader) =>
    {
        var postmaster = leader.PostmasterPid;
        OrdinaryProcess.Send(postmaster!.Value, ProcessSignal.Kill);
        await cluster.UntilAsync(() => leader.PostmasterPid != postmaster, "the postmaster is gone");
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task A_dead_node(bool inUnits) => CallersSurviveAsync(inUnits, (_, leader) => leader.KillAsync());

    [Fact]
    public Task A_frozen_node() => CallersSurviveAsync(inUnits: true, async (cluster, leader) =>
    {
        using var frozen = leader.Freeze();
        await cluster.LeaderAsync(not: leader);
    });

    [Fact]
    public Task A_switchover() => CallersSurviveAsync(inUnits: false, DriverCluster.SwitchOverAsync);

    private async Task CallersSurviveAsync(bool inUnits, Func<TestCluster, TestNode, Task> fault)
    {
        var (cluster, leader) = await fixture.TakeAsync();
        using var log = new LogLines(LogLevel.Information);
        await using var source =
            DriverCluster.Source(cluster, $"Maximum Pool Size={Callers};Open Timeout=20;Command Timeout=10", log);
        await using var load = await Load.StartAsync(source, Callers, inUnits);

        await fault(cluster, leader);
        await cluster.LeaderAsync();
        await load.MoreAsync(20);
        var result = await load.StopAsync();

        var failures = result.Failures.CountBy(KindOf).Select(one => $"{one.Value} x {one.Key}");
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{result.Acknowledged} writes, longest outage {result.LongestOutage.TotalSeconds:0.00} s, slowest answer "
            + $"{result.Slowest.TotalSeconds:0.00} s, failures: {string.Join(", ", failures)}");
        Assert.True(result.Slowest < Load.Deadline + TimeSpan.FromSeconds(1), $"an answer took {result.Slowest}");
        // The dead leader's lease has to run out first, and no other one: a lease of 20 s would show here.
        Assert.True(result.LongestOutage < 2 * cluster.Ttl,
            $"an outage of {result.LongestOutage}\n{string.Join('\n', log.Lines)}{cluster.Report()}");
        Assert.Empty(await load.MissingAsync());
        Assert.InRange(result.Failures.Count(one => one is PostgresException { SqlState: "25006" }), 0, 1);
        Assert.All(result.Failures, one => Assert.True(!inUnits, one.ToString()));
        // Whoever works without units sees what was under way break, once.
        Assert.InRange(result.Failures.Count, 0, 2 * Callers);
        cluster.StartMissing();
        await cluster.HealthyAsync();
    }

    private static string KindOf(Exception problem) =>
        problem is PostgresException server
            ? server.SqlState
            : $"{problem.GetType().Name} ({problem.InnerException?.GetType().Name})";
}
