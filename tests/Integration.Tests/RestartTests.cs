using System.Globalization;
using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>PostgreSQL is restarted because somebody asked for it.</summary>
[Collection(SharedCluster.Name)]
public sealed class RestartTests(ClusterFixture fixture)
{
    [Fact]
    public async Task A_leader_that_restarts_stays_the_leader_and_takes_what_waited_for_it()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var (term, before) = ((await cluster.Keys.GetAsync("leader"))!.CreateRevision, leader.PostmasterPid);
        await cluster.ConfigureAsync(new JsonObject { ["postgresql"] = Parameters(1234) });
        await cluster.UntilAsync(
            async () => (await leader.GetAsync("/patroni"))?["pending_restart"] is not null,
            "the leader shows a pending restart");
        await using var writer = await Writer.StartAsync(cluster);
        await writer.MoreAsync(20);

        var answer = await leader.SendAsync(
            "POST", "/restart", new JsonObject { ["role"] = "primary", ["restart_pending"] = true });
        await writer.MoreAsync(50);
        await writer.StopAsync();

        Assert.Equal((200, "restarted successfully"), answer);
        Assert.Equal(leader, await cluster.HealthyAsync());
        Assert.Equal(term, (await cluster.Keys.GetAsync("leader"))!.CreateRevision);
        Assert.NotEqual(before, leader.PostmasterPid);
        Assert.Empty(await writer.MissingOnAsync(leader));
        BusyMachine.AssertWithin(TimeSpan.FromSeconds(8), writer.LongestOutage);
        TestContext.Current.SendDiagnosticMessage(
            $"outage of a writer: {writer.LongestOutage.TotalMilliseconds:F0} ms");
        Assert.Null((await leader.DocumentAsync("/patroni"))["pending_restart"]);
        Assert.Equal("1234", await leader.SqlAsync("SHOW max_files_per_process"));
        Assert.Equal(
            (503, "restart conditions are not satisfied"),
            await leader.SendAsync("POST", "/restart", new JsonObject { ["restart_pending"] = true }));
        await cluster.ConfigureAsync(new JsonObject { ["postgresql"] = Parameters(null) });
    }

    [Fact]
    public async Task A_replica_restarts_and_nobody_else_notices()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[0];
        var before = replica.PostmasterPid;
        await using var writer = await Writer.StartAsync(cluster, Writer.LongPatience);

        var filtered = await replica.SendAsync("POST", "/restart", new JsonObject { ["role"] = "primary" });
        var old = await replica.SendAsync("POST", "/restart", new JsonObject { ["postgres_version"] = "14.0" });
        var between = replica.PostmasterPid;
        var answer = await replica.SendAsync("POST", "/restart");
        await writer.MoreAsync(50);
        await writer.StopAsync();

        Assert.Equal((503, "restart conditions are not satisfied"), filtered);
        Assert.Equal((503, "restart conditions are not satisfied"), old);
        Assert.Equal(before, between);
        Assert.Equal((200, "restarted successfully"), answer);
        Assert.NotEqual(before, replica.PostmasterPid);
        Assert.Equal(leader, await cluster.HealthyAsync());
        Assert.Empty(writer.Errors);
    }

    [Fact]
    public async Task A_scheduled_restart_survives_the_agent_and_happens_at_its_time()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[1];
        var (before, due) = (replica.PostmasterPid, DateTimeOffset.UtcNow.AddSeconds(12));
        var schedule =
            new JsonObject { ["schedule"] = due.ToString("O", CultureInfo.InvariantCulture), ["role"] = "replica" };

        var planned = await replica.SendAsync("POST", "/restart", schedule);
        var again = await replica.SendAsync("POST", "/restart", schedule);
        await cluster.UntilAsync(
            async () => (await cluster.Keys.GetAsync($"members/{replica.Name}"))?.Json["scheduled_restart"] is not null,
            "the key shows it");
        var key = (await cluster.Keys.GetAsync($"members/{replica.Name}"))!.Json["scheduled_restart"]!;
        await replica.KillAgentAsync();
        replica.Start();
        await cluster.UntilAsync(
            async () => (await replica.GetAsync("/patroni"))?["scheduled_restart"] is not null,
            "the agent's next life knows it");
        var kept = replica.PostmasterPid;
        await cluster.UntilAsync(() => replica.PostmasterPid is { } now && now != before, "the replica was restarted");

        Assert.Equal((202, "Restart scheduled"), planned);
        Assert.Equal((409, "Another restart is already scheduled"), again);
        Assert.Equal("replica", key["role"]!.ToString());
        Assert.False(string.IsNullOrEmpty(key["postmaster_start_time"]?.ToString()));
        Assert.Equal(before, kept);
        Assert.True(DateTimeOffset.UtcNow >= due);
        Assert.Equal(leader, await cluster.HealthyAsync());
        Assert.Equal((404, "no restarts are scheduled"), await replica.SendAsync("DELETE", "/restart"));
    }

    private static JsonObject Parameters(int? files) => new()
    {
        ["parameters"] = new JsonObject { ["max_files_per_process"] = files },
    };
}
