using System.Diagnostics;
using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>The agent goes and comes; PostgreSQL and its clients stay.</summary>
[Collection(SharedCluster.Name)]
public sealed class AgentRestartTests(ClusterFixture fixture)
{
    [Fact]
    public Task An_agent_that_died_and_came_back_in_time_costs_no_client_its_connection() =>
        BusyMachine.UntilInTimeAsync(
            async () =>
            {
                var (cluster, leader) = await fixture.TakeAsync();
                var (postmaster, fence) = (leader.PostmasterPid, leader.FencePid);
                await using var writer = await Writer.StartAsync(cluster, Writer.LongPatience);
                await using var idle = await leader.OpenAsync();

                for (var round = 0; round < 3; round++)
                {
                    if (!await IsReplacedInTimeAsync(cluster, leader))
                    {
                        return false;
                    }
                    await writer.MoreAsync(50);
                    await cluster.HealthyAsync();
                }
                // Longer than the lease that the first agent left behind.
                await writer.MoreAsync((int)(cluster.Ttl.TotalMilliseconds / 3));
                await writer.StopAsync();

                Assert.Empty(writer.Errors);
                Assert.Equal((postmaster, fence), (leader.PostmasterPid, leader.FencePid));
                Assert.Equal(
                    "open",
                    Convert.ToString(await new Npgsql.NpgsqlCommand("SELECT 'open'", idle).ExecuteScalarAsync(
                        TestContext.Current.CancellationToken)));
                Assert.Equal(leader, await cluster.HealthyAsync());
                return true;
            },
            "a new agent needed more than half a lease to lead");

    /// <summary>Kills the leader's agent and starts another one.</summary>
    /// <returns>Whether that one has led while the lease of the first one lasted for certain.</returns>
    private static async Task<bool> IsReplacedInTimeAsync(TestCluster cluster, TestNode leader)
    {
        var began = Stopwatch.GetTimestamp();
        await leader.KillAgentAsync();
        leader.Start();
        await cluster.UntilAsync(
            async () => await leader.StatusAsync("/primary") == 200
                || Stopwatch.GetElapsedTime(began) > cluster.Ttl / 2,
            "the new agent leads");
        return Stopwatch.GetElapsedTime(began) <= cluster.Ttl / 2;
    }

    [Fact]
    public async Task The_agent_of_a_replica_can_be_replaced_unseen()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[0];
        var postmaster = replica.PostmasterPid;

        await replica.KillAgentAsync();
        replica.Start();
        await cluster.UntilAsync(async () => await replica.StatusAsync("/replica") == 200,
            "the new agent sees a replica");

        Assert.Equal(postmaster, replica.PostmasterPid);
        Assert.Equal(leader, await cluster.HealthyAsync());
    }

    [Fact]
    public async Task In_a_paused_cluster_an_agent_ends_and_leaves_PostgreSQL_running()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await cluster.ConfigureAsync(new JsonObject { ["pause"] = true });
        await cluster.UntilAsync(
            async () => (await leader.GetAsync("/patroni"))?["pause"]?.GetValue<bool>() == true,
            "the leader knows of the pause");
        var postmaster = leader.PostmasterPid;
        await using var writer = await Writer.StartAsync(cluster, Writer.LongPatience);

        var code = await leader.StopAsync();
        await writer.MoreAsync(50);
        leader.Start();
        await cluster.UntilAsync(async () => await leader.StatusAsync("/primary") == 200, "the new agent leads");
        await cluster.ConfigureAsync(new JsonObject { ["pause"] = null });
        await writer.MoreAsync(50);
        await writer.StopAsync();

        Assert.Equal(0, code);
        Assert.Empty(writer.Errors);
        Assert.Equal(postmaster, leader.PostmasterPid);
        Assert.Equal(leader, await cluster.HealthyAsync());
    }
}
