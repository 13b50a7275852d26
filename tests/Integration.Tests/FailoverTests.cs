using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Something dies, and the cluster goes on.</summary>
[Collection(SharedCluster.Name)]
public sealed class FailoverTests(ClusterFixture fixture)
{
    /// <summary>What a loaded machine of two cores may add to a time that the design promises.</summary>
    private static readonly TimeSpan s_margin = TimeSpan.FromSeconds(8);

    [Fact]
    public Task A_killed_postmaster_of_the_primary_is_started_again_in_place() =>
        BusyMachine.UntilInTimeAsync(
            async () =>
            {
                var (cluster, leader) = await fixture.TakeAsync();
                var term = (await cluster.Keys.GetAsync("leader"))!.CreateRevision;
                await using var writer = await Writer.StartAsync(cluster);

                leader.SignalPostmaster(ProcessSignal.Kill);
                await writer.MoreAsync(100);
                await writer.StopAsync();
                var now = await cluster.HealthyAsync();
                if (writer.LongestOutage > cluster.Ttl / 2)
                {
                    return false;   // the lease may have ended meanwhile
                }

                Assert.Equal(leader, now);
                Assert.Equal(term, (await cluster.Keys.GetAsync("leader"))!.CreateRevision);
                Assert.Empty(await writer.MissingOnAsync(leader));
                return true;
            },
            "the start took more than half a lease");

    [Fact]
    public async Task A_killed_postmaster_of_a_replica_comes_back_and_nobody_else_notices()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[0];
        var before = replica.PostmasterPid;
        await using var writer = await Writer.StartAsync(cluster, Writer.LongPatience);

        replica.SignalPostmaster(ProcessSignal.Kill);
        await cluster.UntilAsync(() => replica.PostmasterPid is { } now && now != before,
            "the replica's PostgreSQL runs again");
        await writer.MoreAsync(100);
        await writer.StopAsync();

        Assert.Equal(leader, await cluster.HealthyAsync());
        Assert.Empty(writer.Errors);
    }

    [Fact]
    public async Task An_agent_that_is_told_to_stop_hands_over_before_it_ends()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var rewinds = leader.CountInLog("[rewinds]");
        await using var writer = await Writer.StartAsync(cluster);

        var code = await leader.StopAsync();
        var named = await cluster.LeaderNameAsync();
        var next = await cluster.LeaderAsync(not: leader);
        await writer.MoreAsync(100);
        await writer.StopAsync();

        Assert.Equal(0, code);
        Assert.NotEqual(leader.Name, named);   // its lease would have kept the key for much longer
        Assert.Null(leader.PostmasterPid);
        await cluster.UntilAsync(() => leader.FencePid is null, "the fence ends, for nothing is left to guard");
        BusyMachine.AssertWithin(s_margin, writer.LongestOutage);
        Assert.Empty(await writer.MissingOnAsync(next));
        leader.Start();
        Assert.Equal(next, await cluster.HealthyAsync());
        Assert.Equal(rewinds, leader.CountInLog("[rewinds]"));
    }

    [Fact]
    [Trait("Runs", "Last")]
    public async Task A_dead_node_is_replaced_when_its_lease_ends_and_comes_back_as_a_standby()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var began = Stopwatch.GetTimestamp();

        await leader.KillAsync();
        var next = await cluster.LeaderAsync(not: leader);
        var took = Stopwatch.GetElapsedTime(began);
        leader.Start();

        // A lease is counted in whole seconds by etcd, and looked at every half second.
        Assert.True(took > TimeSpan.FromSeconds(1), $"the lease was over after {took}");
        BusyMachine.AssertWithin(cluster.Ttl + TimeSpan.FromSeconds(1) + s_margin, took);
        Assert.Equal(next, await cluster.HealthyAsync());
    }

    [Fact]
    public async Task A_fence_stops_the_primary_of_a_killed_agent_before_another_may_lead()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var writers = await Writer.StartOnEachAsync(cluster);
        var old = writers[cluster.Nodes.ToList().IndexOf(leader)];
        await old.MoreAsync(50);

        await leader.KillAgentAsync();
        var outlivedTheKey = false;
        await cluster.UntilAsync(
            async () =>
            {
                // In this order: whatever holds the test up, a key that had ended and a server that runs after that are
                // a fault.
                var isNamed = await cluster.LeaderNameAsync() == leader.Name;
                var isRunning = leader.PostmasterPid is not null;
                outlivedTheKey |= isRunning && !isNamed;
                return !isRunning;
            },
            "the fence has stopped PostgreSQL");
        var next = await cluster.LeaderAsync(not: leader);
        var fresh = writers[cluster.Nodes.ToList().IndexOf(next)];
        await fresh.MoreAsync(50);
        foreach (var writer in writers)
        {
            await writer.DisposeAsync();
        }

        Assert.False(outlivedTheKey, "PostgreSQL stopped only after the leader key had ended");
        AssertOneAfterTheOther(old, fresh);
        leader.Start();
        Assert.Equal(next, await cluster.HealthyAsync());
    }

    [Fact]
    public async Task A_primary_whose_data_directory_is_damaged_stops_before_another_leads()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var writers = await Writer.StartOnEachAsync(cluster);
        var old = writers[cluster.Nodes.ToList().IndexOf(leader)];
        await old.MoreAsync(50);

        File.Delete(Path.Combine(leader.DataDirectory, "PG_VERSION"));
        var next = await cluster.LeaderAsync(not: leader);
        var fresh = writers[cluster.Nodes.ToList().IndexOf(next)];
        await fresh.MoreAsync(50);
        foreach (var writer in writers)
        {
            await writer.DisposeAsync();
        }

        Assert.Null(leader.PostmasterPid);
        AssertOneAfterTheOther(old, fresh);
        Directory.Delete(leader.DataDirectory, recursive: true);   // as the log asks the operator to
        Assert.Equal(next, await cluster.HealthyAsync());
    }

    [Fact]
    public async Task With_a_start_timeout_of_zero_a_killed_postmaster_fails_over_at_once()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await cluster.ConfigureAsync(new JsonObject { ["primary_start_timeout"] = 0 });
        await using var writer = await Writer.StartAsync(cluster);

        leader.SignalPostmaster(ProcessSignal.Kill);
        var next = await cluster.LeaderAsync(not: leader);
        await writer.MoreAsync(50);
        await writer.StopAsync();

        BusyMachine.AssertWithin(s_margin, writer.LongestOutage);
        Assert.Equal(next, await cluster.HealthyAsync());
        await cluster.ConfigureAsync(new JsonObject { ["primary_start_timeout"] = null });
    }

    [Fact]
    public async Task The_history_tells_each_timeline_and_who_began_the_next()
    {
        var (cluster, leader) = await fixture.TakeAsync();

        await leader.StopAsync();
        var next = await cluster.LeaderAsync(not: leader);
        leader.Start();
        await cluster.HealthyAsync();
        // The control file tells it after the next checkpoint only.
        var timeline = int.Parse(
            (await next.SqlAsync("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"))!, NumberStyles.HexNumber,
            CultureInfo.InvariantCulture);
        await cluster.UntilAsync(
            async () => (await cluster.Keys.GetAsync("history"))?.Json.AsArray().Count == timeline - 1,
            "the history is whole");

        var last = (await cluster.Keys.GetAsync("history"))!.Json.AsArray()[^1]!.AsArray();
        Assert.Equal(5, last.Count);
        Assert.Equal(timeline - 1, last[0]!.GetValue<int>());
        Assert.True(last[1]!.GetValue<long>() > 0);
        Assert.Equal("no recovery target specified", last[2]!.ToString());
        Assert.InRange(
            DateTimeOffset.Parse(last[3]!.ToString(), null), DateTimeOffset.UtcNow.AddMinutes(-5),
            DateTimeOffset.UtcNow.AddMinutes(1));
        Assert.Equal(next.Name, last[4]!.ToString());
        Assert.Equal(last.ToJsonString(), (await next.DocumentAsync("/history")).AsArray()[^1]!.ToJsonString());
    }

    /// <summary>The order is sure only so: when a write began, and when another's answer was there.</summary>
    private static void AssertOneAfterTheOther(Writer old, Writer fresh) =>
        Assert.True(old.Writes[^1].Began < fresh.Writes[0].Ended,
            "the old primary acknowledged a write after the new one had begun");
}
