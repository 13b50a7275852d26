using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>A former primary holds WAL that nobody else has, and has to come back.</summary>
[Collection(SharedCluster.Name)]
public sealed class RejoinTests(ClusterFixture fixture)
{
    [Fact]
    public async Task A_former_primary_whose_history_diverged_is_rewound()
    {
        var (cluster, leader) = await fixture.TakeAsync();

        var next = await DivergeAsync(cluster, leader);
        leader.Start();

        Assert.Equal(next, await cluster.HealthyAsync());
        Assert.True(leader.CountInLog("[rewinds]") > 0, cluster.Report());
        Assert.Equal("0", await leader.SqlAsync("SELECT count(*) FROM pg_class WHERE relname = 'only_here'"));
        await next.SqlAsync("DROP TABLE IF EXISTS only_here");
    }

    [Fact]
    public async Task Without_pg_rewind_its_data_are_replaced_by_a_copy_when_that_is_allowed()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await cluster.ConfigureAsync(Rejoin(rewind: false, remove: true));

        var next = await DivergeAsync(cluster, leader);
        leader.Start();

        Assert.Equal(next, await cluster.HealthyAsync());
        Assert.True(leader.CountInLog("replaces its diverged data by a copy") > 0, cluster.Report());
        Assert.Equal("0", await leader.SqlAsync("SELECT count(*) FROM pg_class WHERE relname = 'only_here'"));
        await cluster.ConfigureAsync(Rejoin(rewind: true, remove: false));
    }

    [Fact]
    public async Task When_it_may_neither_rewind_nor_be_copied_it_stays_down_and_says_why()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await cluster.ConfigureAsync(Rejoin(rewind: false, remove: false));

        var next = await DivergeAsync(cluster, leader);
        leader.Start();
        await cluster.UntilAsync(() => leader.CountInLog("stays down: its history has diverged") > 0,
            "it says why it stays down");

        Assert.Null(leader.PostmasterPid);
        Assert.Equal(next.Name, await cluster.LeaderNameAsync());
        // With rewind allowed again it comes back by itself.
        await cluster.ConfigureAsync(Rejoin(rewind: true, remove: false));
        Assert.Equal(next, await cluster.HealthyAsync());
    }

    /// <summary>Gives the leader WAL that reached nobody, and kills its node.</summary>
    /// <returns>The new leader.</returns>
    private static async Task<TestNode> DivergeAsync(TestCluster cluster, TestNode leader)
    {
        foreach (var sender in leader.Backends("walsender"))
        {
            OrdinaryProcess.Send(sender, ProcessSignal.Stop);
        }
        await leader.SqlAsync("CREATE TABLE only_here AS SELECT generate_series(1, 1000)");
        await leader.KillAsync();
        return await cluster.LeaderAsync(not: leader);
    }

    private static JsonObject Rejoin(bool rewind, bool remove) => new()
    {
        ["postgresql"] = new JsonObject
        {
            ["use_pg_rewind"] = rewind, ["remove_data_directory_on_diverged_timelines"] = remove,
        },
    };
}
