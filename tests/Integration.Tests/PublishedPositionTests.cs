using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>
/// The position that the leader publishes bars standbys that lack more than <c>maximum_lag_on_failover</c>: no way in
/// which a leader goes, or comes up, may lower it.
/// </summary>
public sealed class PublishedPositionTests(PublishedPositionTests.TwoNodes fixture)
    : IClassFixture<PublishedPositionTests.TwoNodes>
{
    private const int Limit = 1 << 20;
    private const long Behind = 128L << 20;

    /// <summary>
    /// Its server was stopped in haste, so that its files tell the last checkpoint, from before all that the standby
    /// lacks.
    /// </summary>
    [Fact]
    public async Task An_immediate_demotion_does_not_let_a_standby_lead_that_lacks_128_MB()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[0];
        var refused = replica.CountInLog("more than maximum_lag_on_failover");
        var written = await WriteMuchAsync(cluster, leader, "demoted");
        var checkpoint = await CheckpointAsync(leader);

        // Its next agent finds a required watchdog that is not there, and steps down at once.
        await leader.KillAgentAsync();
        leader.Config["watchdog"] =
            new JsonObject { ["mode"] = "required", ["device"] = leader.DirectoryPath + "/none" };
        leader.WriteConfig();
        leader.Start();
        await cluster.UntilAsync(async () => await cluster.LeaderNameAsync() is null,
            "the leader has given its key up");
        await cluster.UntilAsync(
            () => replica.CountInLog("more than maximum_lag_on_failover") > refused,
            "the standby says why it does not lead");
        // For as long as it takes to win a race many times.
        var lowest = await LowestPublishedAsync(cluster, cluster.Ttl);
        await leader.KillAgentAsync();
        leader.Config.Remove("watchdog");
        leader.WriteConfig();
        leader.Start();

        Assert.True(written - checkpoint > Behind, "the last checkpoint is too new: the test shows nothing");
        Assert.True(lowest >= written, $"{lowest} was published after {written}");
        await AllIsThereAsync(cluster, leader, "demoted");
    }

    /// <summary>While it starts it knows its last checkpoint, or nothing.</summary>
    [Fact]
    public async Task A_leader_that_does_not_come_up_keeps_its_key_while_the_only_standby_lacks_128_MB()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var written = await WriteMuchAsync(cluster, leader, "starting");
        var frozen = await FreezeInRecoveryAsync(cluster, leader);

        // Longer than primary_start_timeout.
        await cluster.UntilAsync(
            () => leader.CountInLog("waits until PostgreSQL has started: n") > 0,
            "the leader has asked whether another can take over");
        var lowest = await LowestPublishedAsync(cluster, cluster.Ttl);
        var during = await cluster.LeaderNameAsync();
        OrdinaryProcess.Send(frozen, ProcessSignal.Continue);

        Assert.True(lowest >= written, $"{lowest} was published after {written}");
        Assert.Equal(leader.Name, during);
        Assert.Equal(leader, await cluster.HealthyAsync());
        await AllIsThereAsync(cluster, leader, "starting");
    }

    /// <summary>The standby gets nothing of it.</summary>
    /// <returns>The position that the leader has published after it.</returns>
    private static async Task<long> WriteMuchAsync(TestCluster cluster, TestNode leader, string table)
    {
        await leader.SqlAsync("CHECKPOINT");
        foreach (var sender in leader.Backends("walsender"))
        {
            OrdinaryProcess.Send(sender, ProcessSignal.Stop);
        }
        var before = await PositionAsync(leader);
        await leader.SqlAsync($"CREATE TABLE {table} (row text)");
        for (var rows = 0; await PositionAsync(leader) - before <= Behind + Limit; rows++)
        {
            await leader.SqlAsync($"INSERT INTO {table} SELECT repeat('x', 1000) FROM generate_series(1, 20000)");
        }
        var written = await PositionAsync(leader);
        await cluster.UntilAsync(async () => await PublishedAsync(cluster) >= written,
            "the leader has told its position");
        return written;
    }

    /// <summary>
    /// Kills the server, and freezes the process that recovers it when the agent has started it again.
    /// </summary>
    private static async Task<int> FreezeInRecoveryAsync(TestCluster cluster, TestNode leader)
    {
        var frozen = 0;
        leader.SignalPostmaster(ProcessSignal.Kill);
        await cluster.UntilAsync(
            () =>
            {
                if (leader.Backends("startup") is not [var recovering, ..])
                {
                    return false;
                }
                OrdinaryProcess.Send(frozen = recovering, ProcessSignal.Stop);
                return true;
            },
            "PostgreSQL recovers");
        return frozen;
    }

    /// <summary>Looks for a while.</summary>
    private static async Task<long> LowestPublishedAsync(TestCluster cluster, TimeSpan time)
    {
        var lowest = long.MaxValue;
        using var end = new CancellationTokenSource(time);
        while (!end.IsCancellationRequested)
        {
            lowest = Math.Min(lowest, await PublishedAsync(cluster));
            await Task.Delay(TimeSpan.FromMilliseconds(50), TestContext.Current.CancellationToken);
        }
        return lowest;
    }

    private static async Task AllIsThereAsync(TestCluster cluster, TestNode leader, string table)
    {
        // With the old primary's PostgreSQL the missing WAL is back: either of the two may lead now.
        await cluster.HealthyAsync();
        var rows = await leader.SqlAsync($"SELECT count(*) FROM {table}");
        Assert.True(long.Parse(rows!, null) >= 100_000, $"{rows} rows");
        await cluster.UntilAsync(
            async () => await cluster.ReplicasOf(leader)[0].SqlAsync($"SELECT count(*) FROM {table}") == rows,
            "the other has it all");
    }

    private static async Task<long> PublishedAsync(TestCluster cluster) =>
        (await cluster.Keys.GetAsync("status"))?.Json["optime"]?.GetValue<long>() ?? 0;

    private static async Task<long> PositionAsync(TestNode node) =>
        long.Parse((await node.SqlAsync("SELECT pg_current_wal_flush_lsn() - '0/0'"))!, null);

    private static async Task<long> CheckpointAsync(TestNode node) =>
        long.Parse((await node.SqlAsync("SELECT checkpoint_lsn - '0/0' FROM pg_control_checkpoint()"))!, null);

    public sealed class TwoNodes : ClusterFixture
    {
        protected override TestClusterOptions Options => new()
        {
            Nodes = 2,
            Dcs = new JsonObject
            {
                ["maximum_lag_on_failover"] = Limit,
                ["primary_start_timeout"] = 5,
                ["postgresql"] = new JsonObject
                {
                    ["parameters"] = new JsonObject { ["checkpoint_timeout"] = "1h", ["max_wal_size"] = "2GB" },
                },
            },
        };
    }
}
