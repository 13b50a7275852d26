using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>What a paused cluster does, and what it leaves to its operator.</summary>
[Collection(SharedCluster.Name)]
public sealed class PauseTests(ClusterFixture fixture)
{
    [Fact]
    public async Task A_killed_replica_stays_stopped_until_it_is_restarted_by_hand()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[0];
        await PauseAsync(cluster);
        try
        {
            replica.SignalPostmaster(ProcessSignal.Kill);
            await cluster.UntilAsync(
                async () => (await cluster.Keys.GetAsync($"members/{replica.Name}"))?.Json["state"]?.ToString()
                    == "stopped", "it is stopped");
            var runs = replica.CountInLog("PAUSE: ");
            Assert.True(runs > 0);
            Assert.Null(replica.PostmasterPid);

            Assert.Equal((200, "restarted successfully"), await replica.SendAsync("POST", "/restart"));
            Assert.Equal(leader, await cluster.HealthyAsync());
        }
        finally
        {
            await ResumeAsync(cluster);
        }
    }

    [Fact]
    public async Task A_switchover_works_only_with_a_named_candidate()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var candidate = cluster.ReplicasOf(leader)[0];
        await PauseAsync(cluster);
        try
        {
            Assert.Equal(
                400, (await leader.SendAsync("POST", "/switchover", new JsonObject { ["leader"] = leader.Name })).Code);
            Assert.Equal(
                (200, $"Successfully switched over to \"{candidate.Name}\""),
                await leader.SendAsync("POST", "/switchover",
                    new JsonObject { ["leader"] = leader.Name, ["candidate"] = candidate.Name }));
            Assert.Equal(candidate, await cluster.LeaderAsync());
        }
        finally
        {
            await ResumeAsync(cluster);
        }
        Assert.Equal(candidate, await cluster.HealthyAsync());
    }

    [Fact]
    public async Task What_is_scheduled_waits_for_the_end_of_the_pause_and_nothing_new_is_scheduled()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[0];
        var due = DateTimeOffset.UtcNow.AddSeconds(4);
        var at = due.ToString("O", System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(202, (await replica.SendAsync("POST", "/restart", new JsonObject { ["schedule"] = at })).Code);
        Assert.Equal(202, (await leader.SendAsync(
            "POST", "/switchover",
            new JsonObject { ["leader"] = leader.Name, ["candidate"] = replica.Name, ["scheduled_at"] = at })).Code);
        var before = replica.PostmasterPid;
        await PauseAsync(cluster);
        try
        {
            var later =
                DateTimeOffset.UtcNow.AddHours(1).ToString("O", System.Globalization.CultureInfo.InvariantCulture);
            Assert.Equal(
                (500, "Can't schedule restart in the paused state"),
                await replica.SendAsync("POST", "/restart", new JsonObject { ["schedule"] = later }));
            Assert.Equal(
                (400, "Can't schedule switchover in the paused state"),
                await leader.SendAsync("POST", "/switchover",
                    new JsonObject { ["leader"] = leader.Name, ["scheduled_at"] = later }));
            // Past its time by more than one and a half loops: the end of the pause finds it stale.
            await cluster.UntilAsync(() => DateTimeOffset.UtcNow > due.AddSeconds(4), "its time is past");
            Assert.Equal(before, replica.PostmasterPid);
            Assert.Equal(leader.Name, await cluster.LeaderNameAsync());
        }
        finally
        {
            await ResumeAsync(cluster);
        }
        await cluster.UntilAsync(
            async () => (await replica.SendAsync("DELETE", "/restart")).Code == 404
                && (await cluster.Keys.GetAsync("failover"))?.Value is null or "{}",
            "what was scheduled is dropped");
        Assert.Equal(leader, await cluster.HealthyAsync());
        Assert.Equal(before, replica.PostmasterPid);
    }

    [Fact]
    public async Task What_people_stop_and_promote_is_adopted_and_the_old_primary_joins_when_the_pause_ends()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[0];
        await PauseAsync(cluster);
        try
        {
            leader.SignalPostmaster(ProcessSignal.Quit);
            await cluster.UntilAsync(
                async () => await cluster.LeaderNameAsync() is null, "the stopped leader gives its key up");
            await replica.SqlAsync("SELECT pg_promote()");
            Assert.Equal(replica, await cluster.LeaderAsync(not: leader));
            Assert.Null(leader.PostmasterPid);
        }
        finally
        {
            await ResumeAsync(cluster);
        }
        Assert.Equal(replica, await cluster.HealthyAsync());
    }

    private static async Task PauseAsync(TestCluster cluster) => await SetAsync(cluster, true);

    private static async Task ResumeAsync(TestCluster cluster) => await SetAsync(cluster, null);

    private static async Task SetAsync(TestCluster cluster, bool? pause)
    {
        await cluster.ConfigureAsync(new JsonObject { ["pause"] = pause });
        foreach (var node in cluster.Nodes)
        {
            await cluster.UntilAsync(
                async () => await node.GetAsync("/patroni") is { } status
                    && (status["pause"] is not null) == (pause is not null),
                $"{node} knows of it");
        }
    }
}
