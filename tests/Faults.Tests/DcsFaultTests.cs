using System.Diagnostics;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>etcd is silent, forgets, or is tampered with.</summary>
[Collection(SharedCluster.Name)]
public sealed class DcsFaultTests(SynchronousCluster fixture)
{
    [Fact]
    public async Task While_etcd_is_away_for_longer_than_the_lease_nobody_is_primary_and_afterwards_one_is()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var judge = await Judge.StartAsync(cluster, leader);

        await cluster.Etcd.KillAsync();
        var silent = Stopwatch.GetTimestamp();
        await cluster.UntilAsync(
            async () => await leader.StatusAsync("/primary") == 503 && await IsNoPrimaryAsync(leader),
            "the leader has demoted itself");
        AssertNoWriteAfterTheLease(cluster, judge[leader], silent);
        await cluster.Etcd.RestartAsync();
        var now = await cluster.HealthyAsync();
        await judge[now].MoreAsync(50);

        await judge.OnePrimaryAndNothingLostAsync(now);
    }

    [Fact]
    public async Task A_frozen_etcd_is_as_good_as_a_dead_one()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var judge = await Judge.StartAsync(cluster, leader);

        cluster.Etcd.Freeze();
        var silent = Stopwatch.GetTimestamp();
        await cluster.UntilAsync(
            async () => await leader.StatusAsync("/primary") == 503 && await IsNoPrimaryAsync(leader),
            "the leader has demoted itself");
        AssertNoWriteAfterTheLease(cluster, judge[leader], silent);
        cluster.Etcd.Thaw();
        var now = await cluster.HealthyAsync();
        await judge[now].MoreAsync(50);

        await judge.OnePrimaryAndNothingLostAsync(now);
    }

    [Fact]
    public async Task An_etcd_that_comes_back_within_the_lease_is_not_missed()
    {
        for (var round = 0; round < 3; round++)
        {
            var (cluster, leader) = await fixture.TakeAsync();
            var term = (await cluster.Keys.GetAsync("leader"))!.CreateRevision;
            await using var judge = await Judge.StartAsync(cluster, leader, Writer.LongPatience);

            var began = Stopwatch.GetTimestamp();
            await cluster.Etcd.KillAsync();
            await judge[leader].MoreAsync(1);
            await cluster.Etcd.RestartAsync();
            if (Stopwatch.GetElapsedTime(began) > cluster.Ttl / 2)
            {
                continue;   // too little of the lease may have been left: whatever follows says nothing
            }
            await judge[leader].MoreAsync(1000);

            Assert.Equal(leader, await cluster.HealthyAsync());
            Assert.Equal(term, (await cluster.Keys.GetAsync("leader"))!.CreateRevision);
            Assert.Empty(judge[leader].Errors);
            await judge.OnePrimaryAndNothingLostAsync(leader);
            return;
        }
        Assert.Skip("Three times etcd needed more than half a lease to come back.");
    }

    [Fact]
    public async Task In_failsafe_mode_the_primary_stays_while_etcd_is_away()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var failsafe = await Failsafe.UseAsync(cluster);
        await using var judge = await Judge.StartAsync(cluster, leader, Writer.LongPatience);

        await cluster.Etcd.KillAsync();
        await cluster.UntilAsync(
            async () => (await leader.GetAsync("/patroni"))?["failsafe_mode_is_active"]?.GetValue<bool>() == true,
            "failsafe mode is active");
        // Twice the life of the lease.
        await Task.Delay(cluster.Ttl * 2, TestContext.Current.CancellationToken);
        var during = await leader.StatusAsync("/primary");
        await judge[leader].MoreAsync(50);
        await cluster.Etcd.RestartAsync();

        Assert.Equal(200, during);
        Assert.Equal(leader, await cluster.HealthyAsync());
        Assert.Empty(judge[leader].Errors);
        await judge.OnePrimaryAndNothingLostAsync(leader);
    }

    [Fact]
    public async Task In_failsafe_mode_the_slots_are_kept_and_the_standbys_copies_of_them_go_on()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replicas = cluster.ReplicasOf(leader);
        await using var failsafe = await Failsafe.UseAsync(cluster);
        await using var judge = await Judge.StartAsync(cluster, leader, Writer.LongPatience);
        foreach (var (replica, other) in new[] { (replicas[0], replicas[1]), (replicas[1], replicas[0]) })
        {
            await cluster.UntilAsync(
                async () => await replica.SqlAsync(PositionOf(other)) is { Length: > 0 },
                $"{replica.Name} has a slot for {other.Name}");
        }

        await cluster.Etcd.KillAsync();
        await cluster.UntilAsync(
            async () => (await leader.GetAsync("/patroni"))?["failsafe_mode_is_active"]?.GetValue<bool>() == true,
            "failsafe mode is active");
        // What is written from here on stands in no key of etcd.
        var silentAt = await leader.SqlAsync("SELECT pg_current_wal_flush_lsn()");
        await judge[leader].MoreAsync(50);
        foreach (var (replica, other) in new[] { (replicas[0], replicas[1]), (replicas[1], replicas[0]) })
        {
            await cluster.UntilAsync(
                async () =>
                    await replica.SqlAsync($"{PositionOf(other)} AND restart_lsn > '{silentAt}'") is { Length: > 0 },
                $"the slot for {other.Name} on {replica.Name} is advanced without etcd");
        }
        var kept = await leader.SqlAsync(
            "SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots WHERE active");
        await cluster.Etcd.RestartAsync();

        Assert.Equal(string.Join(' ', replicas.Select(replica => replica.Name).Order(StringComparer.Ordinal)), kept);
        Assert.Equal(leader, await cluster.HealthyAsync());
        await judge.OnePrimaryAndNothingLostAsync(leader);

        static string PositionOf(TestNode member) =>
            $"SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = '{member.Name}'";
    }

    [Fact]
    public async Task In_failsafe_mode_a_replicas_agent_that_starts_again_while_etcd_is_away_goes_on_consenting()
    {
        for (var round = 0; round < 3; round++)
        {
            var (cluster, leader) = await fixture.TakeAsync();
            var replica = cluster.ReplicasOf(leader)[0];
            await using var failsafe = await Failsafe.UseAsync(cluster);
            await using var judge = await Judge.StartAsync(cluster, leader, Writer.LongPatience);

            await cluster.Etcd.KillAsync();
            await cluster.UntilAsync(
                async () => (await leader.GetAsync("/patroni"))?["failsafe_mode_is_active"]?.GetValue<bool>() == true,
                "failsafe mode is active");
            var began = Stopwatch.GetTimestamp();
            await replica.KillAgentAsync();
            replica.Start();
            await cluster.UntilAsync(async () => await replica.StatusAsync("/liveness") == 200,
                "the new agent answers");
            var wasQuick = Stopwatch.GetElapsedTime(began) < cluster.Ttl / 3;
            // Twice the life of a consent.
            await Task.Delay(wasQuick ? cluster.Ttl * 2 : TimeSpan.Zero, TestContext.Current.CancellationToken);
            var during = await leader.StatusAsync("/primary");
            await cluster.Etcd.RestartAsync();
            var now = await cluster.HealthyAsync();
            if (!wasQuick)
            {
                continue;   // nobody consented for too long: whatever follows says nothing
            }

            Assert.Equal((200, leader), (during, now));
            Assert.Empty(judge[leader].Errors);
            await judge.OnePrimaryAndNothingLostAsync(leader);
            return;
        }
        Assert.Skip("Three times the agent needed more than a third of the lease to start.");
    }

    [Fact]
    public async Task In_failsafe_mode_a_primary_without_the_consent_of_all_demotes_itself()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var frozen = cluster.ReplicasOf(leader)[0];
        await using var failsafe = await Failsafe.UseAsync(cluster);
        await using var judge = await Judge.StartAsync(cluster, leader);

        frozen.SignalAgent(ProcessSignal.Stop);
        await cluster.Etcd.KillAsync();
        var silent = Stopwatch.GetTimestamp();
        await cluster.UntilAsync(() => IsNoPrimaryAsync(leader), "the leader has demoted itself");
        AssertNoWriteAfterTheLease(cluster, judge[leader], silent);
        frozen.SignalAgent(ProcessSignal.Continue);
        await cluster.Etcd.RestartAsync();
        var now = await cluster.HealthyAsync();

        await judge.OnePrimaryAndNothingLostAsync(now);
    }

    [Fact]
    public async Task A_leader_key_deleted_by_hand_is_taken_again_and_there_is_one_primary()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var term = (await cluster.Keys.GetAsync("leader"))!.CreateRevision;
        await using var judge = await Judge.StartAsync(cluster, leader);

        await cluster.Keys.DeleteAsync("leader");
        await cluster.UntilAsync(
            async () => await cluster.Keys.GetAsync("leader") is { } key && key.CreateRevision > term,
            "somebody holds the key");
        var now = await cluster.HealthyAsync();
        await judge[now].MoreAsync(50);

        await judge.OnePrimaryAndNothingLostAsync(now);
    }

    [Fact]
    public async Task A_leader_key_written_by_hand_for_another_stops_the_primary_at_once()
    {
        // Whoever writes this key overrules the lease: all that the old primary can do is to be quick. Where the watch
        // is held up, the next renewal may be what finds it out, and nothing was tried.
        var isToldByTheWatch = false;
        for (var round = 0; round < 3 && !isToldByTheWatch; round++)
        {
            var (cluster, leader) = await fixture.TakeAsync();
            var other = cluster.ReplicasOf(leader)[0];
            await using var judge = await Judge.StartAsync(cluster, leader);
            var told = $"This member has lost the leader key: it names {other.Name}";
            var before = leader.CountInLog(told);

            await cluster.Keys.PutAsync("leader", other.Name);
            var written = Stopwatch.GetTimestamp();
            await cluster.LeaderAsync(not: leader);
            var now = await cluster.HealthyAsync();
            await judge[now].MoreAsync(50);

            Assert.Equal(other, now);
            var wentOn = Stopwatch.GetElapsedTime(written, judge[leader].Writes[^1].Began);
            Assert.True(wentOn < cluster.Ttl / 2 || BusyMachine.IsBusy,
                $"{leader.Name}, the old primary, went on for {wentOn}{cluster.Report()}");
            isToldByTheWatch = leader.CountInLog(told) > before;
        }
        Assert.True(isToldByTheWatch, "no primary heard of it by its watch");
    }

    [Fact]
    public async Task A_lease_revoked_by_hand_leads_to_one_primary()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var key = (await cluster.Keys.GetAsync("leader"))!;
        await using var judge = await Judge.StartAsync(cluster, leader);

        await cluster.Keys.RevokeAsync(key.Lease);
        await cluster.UntilAsync(
            async () => await cluster.Keys.GetAsync("leader") is { } now && now.CreateRevision > key.CreateRevision,
            "somebody holds the key");
        var next = await cluster.HealthyAsync();
        await judge[next].MoreAsync(50);

        await judge.OnePrimaryAndNothingLostAsync(next);
    }

    /// <summary>
    /// The last renewal was sent before etcd fell silent: a lease later the old primary takes nothing any more.
    /// </summary>
    private static void AssertNoWriteAfterTheLease(TestCluster cluster, Writer old, long silent)
    {
        var wentOn = Stopwatch.GetElapsedTime(silent, old.Writes[^1].Began);
        Assert.True(wentOn < cluster.Ttl, $"the old primary went on for {wentOn}{cluster.Report()}");
    }

    private static async Task<bool> IsNoPrimaryAsync(TestNode node)
    {
        try
        {
            return node.PostmasterPid is null || await node.SqlAsync("SELECT pg_is_in_recovery()") == "True";
        }
        catch (Npgsql.NpgsqlException)
        {
            return true;   // down or not open yet
        }
    }
}
