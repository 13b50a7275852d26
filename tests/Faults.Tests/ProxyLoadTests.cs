using System.Diagnostics;
using Npgsql;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>
/// pgbench and others through the proxy while leaders change, etcd is away, servers freeze and replicas fall behind.
/// </summary>
[Collection(SecondCluster.Name)]
public sealed class ProxyLoadTests(SynchronousCluster fixture)
{
    // The minute that we promise takes a minute: by default it is shortened to what is longer than any lease.
    private static readonly TimeSpan s_silence =
        TimeSpan.FromSeconds(Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") is { Length: > 0 } ? 60 : 14);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Over_a_switchover_pgbench_sees_errors_in_open_sessions_alone_and_goes_on_at_the_new_leader()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var proxy = await ProxyProcess.StartAsync(cluster);
        await using var load = await PgbenchLoad.StartAsync(leader, proxy.WritePort);
        await load.MoreAsync(cluster);

        var (code, output) = await cluster.CtlAsync("switchover", cluster.Scope, "--leader", leader.Name, "--force");
        var now = await cluster.LeaderAsync(not: leader);
        await load.MoreAsync(cluster);

        Assert.True(code == 0, output);
        await load.NobodyHungAndAllGoesToTheNewLeaderAsync(leader, now);
    }

    [Fact]
    public async Task Over_a_crash_pgbench_sees_errors_in_open_sessions_alone_and_goes_on_at_the_new_leader()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        // However long the dead leader's key stays: who waits is told of nothing.
        await using var proxy = await ProxyProcess.StartAsync(
            cluster, new ProxyOptions { Write = ", hold_time: 60", More = "timeouts: {drain: 2, retry: 60}" });
        await using var load = await PgbenchLoad.StartAsync(leader, proxy.WritePort);
        await load.MoreAsync(cluster);

        await leader.KillAsync();
        var now = await cluster.LeaderAsync(not: leader);
        await load.MoreAsync(cluster);

        await load.NobodyHungAndAllGoesToTheNewLeaderAsync(leader, now);
        cluster.StartMissing();
        await cluster.HealthyAsync();
    }

    [Fact]
    public async Task While_etcd_is_away_and_the_leader_stays_nobody_notices()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var failsafe = await Failsafe.UseAsync(cluster);
        await using var proxy = await ProxyProcess.StartAsync(cluster);
        await using var writes = await PgbenchLoad.StartAsync(leader, proxy.WritePort);
        await using var reader = await ProxyProcess.OpenAsync(proxy.ReadPort);
        await writes.MoreAsync(cluster);

        await cluster.Etcd.KillAsync();
        var begun = Stopwatch.GetTimestamp();
        await cluster.UntilAsync(async () => (await proxy.RoutesAsync())["stale"]!.GetValue<bool>(),
            "the proxy knows that etcd is silent");
        while (Stopwatch.GetElapsedTime(begun) < s_silence)
        {
            await writes.MoreAsync(cluster);
            await using var read = new NpgsqlCommand("SELECT pg_is_in_recovery()", reader);
            Assert.Equal(true, await read.ExecuteScalarAsync(Cancellation));
        }
        Assert.True(await proxy.IsReadyAsync());
        await cluster.Etcd.RestartAsync();
        await cluster.UntilAsync(async () => !(await proxy.RoutesAsync())["stale"]!.GetValue<bool>(),
            "the proxy hears etcd again");
        await writes.MoreAsync(cluster);

        await writes.NobodyNoticedAsync();
        Assert.Equal(leader, await cluster.HealthyAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_leader_that_falls_silent_while_etcd_is_away_keeps_no_client_for_ever(bool isCutOff)
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var failsafe = await Failsafe.UseAsync(cluster);
        await using var proxy = await ProxyProcess.StartAsync(cluster);
        await using var resting = await ProxyProcess.OpenAsync(proxy.WritePort);
        await using var asking = await ProxyProcess.OpenAsync(proxy.WritePort);
        await cluster.Etcd.KillAsync();
        await cluster.UntilAsync(async () => (await proxy.RoutesAsync())["stale"]!.GetValue<bool>(),
            "the proxy knows that etcd is silent");

        using (leader.Freeze(withFence: true, isCutOff))
        {
            var begun = Stopwatch.GetTimestamp();
            var error = await Assert.ThrowsAnyAsync<NpgsqlException>(
                () => new NpgsqlCommand("SELECT 1", asking).ExecuteNonQueryAsync(Cancellation));
            BusyMachine.AssertWithin(TimeSpan.FromSeconds(15), Stopwatch.GetElapsedTime(begun));
            Assert.Equal("08007", error.SqlState);   // a statement outside a transaction: nobody knows
            // Each session is cut on its own: what comes in between is on its way, too.
            await cluster.UntilAsync(
                async () => (await proxy.RoutesAsync())["listeners"]![0]!["members"]!.AsArray()
                    .All(member => (int)member!["sessions"]! == 0), "all sessions are cut");
            Assert.Equal("57P01", (await Assert.ThrowsAnyAsync<NpgsqlException>(
                () => new NpgsqlCommand("SELECT 1", resting).ExecuteNonQueryAsync(Cancellation))).SqlState);
            Assert.Contains("does not answer", (await proxy.RoutesAsync()).ToJsonString(), StringComparison.Ordinal);
            Assert.False(await proxy.IsReadyAsync());
            begun = Stopwatch.GetTimestamp();
            var refused = await Assert.ThrowsAnyAsync<NpgsqlException>(() => ProxyProcess.OpenAsync(proxy.WritePort));
            Assert.Equal("57P03", refused.SqlState);
            BusyMachine.AssertWithin(TimeSpan.FromSeconds(14), Stopwatch.GetElapsedTime(begun));
        }
        await cluster.Etcd.RestartAsync();
        cluster.StartMissing();
        var now = await cluster.HealthyAsync();
        await using var again = await ProxyProcess.OpenAsync(proxy.WritePort);
        Assert.Equal(
            now.Port, await new NpgsqlCommand("SELECT inet_server_port()", again).ExecuteScalarAsync(Cancellation));
    }

    [Fact]
    public async Task A_replica_that_falls_behind_the_limit_leaves_the_readers_and_comes_back()
    {
        const int Limit = 1_000_000;
        var (cluster, leader) = await fixture.TakeAsync();
        await using var proxy = await ProxyProcess.StartAsync(
            cluster, new ProxyOptions { Read = $", max_lag: {Limit}, policy: round_robin" });
        var (slow, good) = (cluster.ReplicasOf(leader)[0], cluster.ReplicasOf(leader)[1]);
        await using var atSlow = await OpenAtAsync(proxy, slow);

        await slow.SqlAsync("SELECT pg_wal_replay_pause()");
        await leader.SqlAsync("CREATE TABLE IF NOT EXISTS ballast (text text)");
        await leader.SqlAsync("INSERT INTO ballast SELECT repeat('x', 1000) FROM generate_series(1, 5000)");
        await cluster.UntilAsync(
            async () => (await proxy.RoutesAsync())["listeners"]![1]!["would_choose"]!.AsArray()
                .Select(one => one!.ToString()).SequenceEqual([good.Name]),
            $"{good.Name} alone serves readers");
        for (var count = 0; count < 4; count++)
        {
            await using var reader = await ProxyProcess.OpenAsync(proxy.ReadPort);
            Assert.Equal(good.Port,
                await new NpgsqlCommand("SELECT inet_server_port()", reader).ExecuteScalarAsync(Cancellation));
        }
        // Far behind: a session that was there already moves at rest, and its client notices nothing.
        await cluster.UntilAsync(
            async () => (int)(await new NpgsqlCommand("SELECT inet_server_port()", atSlow).ExecuteScalarAsync(
                Cancellation))! == good.Port,
            $"the session goes on at {good.Name}");
        await slow.SqlAsync("SELECT pg_wal_replay_resume()");

        await cluster.UntilAsync(
            async () => (await proxy.RoutesAsync())["listeners"]![1]!["would_choose"]!.AsArray().Count == 2,
            $"{slow.Name} serves again");
        await using var back = await OpenAtAsync(proxy, slow);
        await leader.SqlAsync("DROP TABLE ballast");
    }

    private static async Task<NpgsqlConnection> OpenAtAsync(ProxyProcess proxy, TestNode node)
    {
        while (true)
        {
            var connection = await ProxyProcess.OpenAsync(proxy.ReadPort);
            if ((int)(await new NpgsqlCommand("SELECT inet_server_port()", connection).ExecuteScalarAsync(
                Cancellation))! == node.Port)
            {
                return connection;
            }
            await connection.DisposeAsync();
        }
    }
}
