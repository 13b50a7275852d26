using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Synchronous modes: what was acknowledged survives any failure.</summary>
public sealed class SynchronousTests(SynchronousTests.Cluster fixture) : IClassFixture<SynchronousTests.Cluster>
{
    [Fact]
    public async Task Synchronous_mode_names_a_standby_and_a_dead_primary_costs_no_acknowledged_write()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await InForceAsync(cluster, true);
        var (sync, standbys, quorum) = await SyncAsync(cluster);
        var standby = cluster[standbys[0]];
        var other = cluster.ReplicasOf(leader).Single(node => node != standby);
        await cluster.UntilAsync(
            async () => await standby.StatusAsync("/sync") == 200 && await other.StatusAsync("/async") == 200,
            "both standbys know their roles");
        Assert.Equal((leader.Name, 0), (sync, quorum));
        Assert.Equal("sync", await leader.SqlAsync(
            $"SELECT sync_state FROM pg_stat_replication WHERE application_name = '{standby.Name}'"));
        Assert.Equal((503, 200, 503), (await other.StatusAsync("/sync"), await other.StatusAsync("/async"),
            await standby.StatusAsync("/async")));

        Assert.Equal(standby, await NothingIsLostAsync(cluster, leader, leader.KillAsync));
    }

    [Fact]
    public async Task Quorum_mode_counts_votes_and_a_dead_primary_costs_no_acknowledged_write()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await InForceAsync(cluster, "quorum");
        var (owner, standbys, quorum) = await SyncAsync(cluster);
        await cluster.UntilAsync(
            async () => await cluster.ReplicasOf(leader)[0].StatusAsync("/quorum") == 200, "a voter knows its role");
        Assert.Equal(leader.Name, owner);
        Assert.Equal(cluster.ReplicasOf(leader).Select(node => node.Name), standbys);
        Assert.Equal(1, quorum);
        Assert.StartsWith("ANY 1 ", await leader.SqlAsync("SHOW synchronous_standby_names"), StringComparison.Ordinal);

        await NothingIsLostAsync(cluster, leader, leader.KillAsync);
    }

    [Theory]
    [InlineData("true")]
    [InlineData("\"quorum\"")]
    public async Task A_killed_agent_costs_no_acknowledged_write(string mode)
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await InForceAsync(cluster, JsonNode.Parse(mode)!);

        await NothingIsLostAsync(cluster, leader, leader.KillAgentAsync);
    }

    [Fact]
    public async Task Without_a_mode_the_sync_key_is_gone()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await InForceAsync(cluster, true);

        await ModeAsync(cluster, false);
        await cluster.UntilAsync(async () => await cluster.Keys.GetAsync("sync") is null, "the key is deleted");

        await cluster.UntilAsync(
            async () => await leader.SqlAsync("SHOW synchronous_standby_names") == "", "the server waits for nobody");
    }

    // The leader is killed under load, another member leads, and holds what was acknowledged; returns that member.
    private static async Task<TestNode> NothingIsLostAsync(TestCluster cluster, TestNode leader, Func<Task> kill)
    {
        await using var writer = await Writer.StartAsync(cluster);
        await writer.MoreAsync(100);
        await kill();
        var next = await cluster.LeaderAsync(not: leader);
        await writer.MoreAsync(50);
        await writer.StopAsync();

        Assert.Empty(await writer.MissingOnAsync(next));
        leader.Start();
        Assert.Equal(next, await cluster.HealthyAsync());
        return next;
    }

    // Between two modes nobody is named for a moment, and nobody may take over then: the key, and what commits wait
    // for, have to be the new mode's.
    private static async Task InForceAsync(TestCluster cluster, JsonNode mode)
    {
        await ModeAsync(cluster, mode);
        var isQuorum = mode.ToString() == "quorum";
        var leader = await cluster.LeaderAsync();
        await cluster.UntilAsync(
            async () => await SyncAsync(cluster) is var (_, standbys, quorum)
                && (standbys.Length, quorum) == (isQuorum ? (2, 1) : (1, 0))
                && (await leader.SqlAsync("SHOW synchronous_standby_names") ?? "").StartsWith(
                    "ANY ", StringComparison.Ordinal) == isQuorum,
            $"the mode {mode} is in force");
    }

    private static Task ModeAsync(TestCluster cluster, JsonNode? mode) =>
        cluster.ConfigureAsync(new JsonObject { ["synchronous_mode"] = mode });

    private static async Task<(string Leader, string[] Standbys, int Quorum)> SyncAsync(TestCluster cluster)
    {
        var key = (await cluster.Keys.GetAsync("sync"))?.Json;
        return (
            key?["leader"]?.ToString() ?? "",
            (key?["sync_standby"]?.ToString() ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries),
            key?["quorum"]?.GetValue<int>() ?? 0);
    }

    public sealed class Cluster : ClusterFixture
    {
        protected override TestClusterOptions Options => new() { Ttl = 5 };
    }
}
