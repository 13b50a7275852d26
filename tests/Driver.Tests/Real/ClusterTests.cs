using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.TestKit;

namespace Routing.Driver.Tests.Real;

/// <summary>The driver on a real cluster.</summary>
[Collection(SharedCluster.Name)]
[Trait("Category", "Integration")]
public sealed class ClusterTests(DriverCluster fixture)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(TopologySource.Etcd)]
    [InlineData(TopologySource.Rest)]
    public async Task Writes_go_to_the_leader_and_reads_evenly_to_the_replicas(TopologySource topology)
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var source = topology == TopologySource.Etcd
            ? DriverCluster.Source(cluster)
            : RoutingDataSource.Create(
                $"Cluster=pay;Topology=rest;Rest=127.0.0.1:{cluster.Nodes[0].RestPort};Rest "
                    + $"Interval=0.2;{DriverCluster.Login}");
        await using var write = await source.OpenConnectionAsync(Cancellation);
        var reads = new List<int>();

        for (var count = 0; count < 200; count++)
        {
            await using var read = await source.OpenConnectionAsync(TargetSessionAttributes.Standby, Cancellation);
            await using var question = new NpgsqlCommand("SELECT pg_is_in_recovery()", read);
            Assert.Equal(true, await question.ExecuteScalarAsync(Cancellation));
            reads.Add(read.Port);
        }

        Assert.Equal(leader.Port, write.Port);
        Assert.Equal(cluster.ReplicasOf(leader).Select(node => node.Port).Order(), reads.Distinct().Order());
        Assert.All(reads.CountBy(port => port), one => Assert.InRange(one.Value, 90, 110));
        Assert.Equal((leader.Name, true, 3),
            (source.Topology.Leader, source.Topology.IsLive, source.Topology.Members.Length));
    }

    [Fact]
    public async Task A_unit_that_caught_a_failed_statement_has_written_nothing_and_says_so()
    {
        var (cluster, _) = await fixture.TakeAsync();
        await using var source = DriverCluster.Source(cluster);
        await DriverCluster.RunAsync(source,
            "DROP TABLE IF EXISTS unit; CREATE TABLE unit (id int PRIMARY KEY); INSERT INTO unit VALUES (1)");

        await Assert.ThrowsAsync<RolledBackException>(() => source.RunAsync(
            async (transaction, token) =>
            {
                await using var good =
                    new NpgsqlCommand("INSERT INTO unit VALUES (2)", transaction.Connection, transaction);
                await good.ExecuteNonQueryAsync(token);
                await using var bad =
                    new NpgsqlCommand("INSERT INTO unit VALUES (1)", transaction.Connection, transaction);
                await Assert.ThrowsAsync<PostgresException>(() => bad.ExecuteNonQueryAsync(token));
                return 0;
            },
            cancellationToken: Cancellation));
        await Assert.ThrowsAsync<InvalidOperationException>(() => source.RunAsync(
            async (transaction, token) =>
            {
                await using var end = new NpgsqlCommand("COMMIT", transaction.Connection, transaction);
                await end.ExecuteNonQueryAsync(token);
                return 0;
            },
            cancellationToken: Cancellation));

        await using var connection = await source.OpenConnectionAsync(Cancellation);
        await using var count = new NpgsqlCommand("SELECT count(*) FROM unit", connection);
        Assert.Equal(1L, await count.ExecuteScalarAsync(Cancellation));
    }

    [Fact]
    public async Task By_REST_a_switchover_is_followed_too()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var source = RoutingDataSource.Create(
            $"Cluster=pay;Topology=rest;Rest=127.0.0.1:{leader.RestPort};Rest Interval=0.2;{DriverCluster.Login}");
        await DriverCluster.RunAsync(source, "SELECT 1");

        await DriverCluster.SwitchOverAsync(cluster, leader);
        var now = await cluster.LeaderAsync(not: leader);
        await WaitUntil.TrueAsync(() => source.Topology.Leader == now.Name);

        await using var connection = await source.OpenConnectionAsync(Cancellation);
        Assert.Equal(now.Port, connection.Port);
    }

    [Fact]
    public async Task A_switchover_under_load_costs_units_of_work_and_contexts_a_pause_and_no_exception()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        // On a loaded machine two seconds are over before all is quiet; the leader goes on as soon as it is.
        await cluster.ConfigureAsync(new JsonObject { ["switchover_grace"] = 60 });
        using var log = new LogLines(LogLevel.Debug);
        await using var source = DriverCluster.Source(cluster, "Maximum Pool Size=64;Open Timeout=60", log);
        await using var load = await Load.StartAsync(source, callers: 16, inUnits: true);
        await using var contexts = new ContextLoad(source, callers: 4);
        await contexts.MoreAsync(20);
        var told =
            new TaskCompletionSource<TopologyChangedEventArgs>(TaskCreationOptions.RunContinuationsAsynchronously);
        source.TopologyChanged += (_, change) =>
        {
            if (change.Current.Leader is { } name && name != leader.Name)
            {
                told.TrySetResult(change);
            }
        };

        try
        {
            await DriverCluster.SwitchOverAsync(cluster, leader);
            await load.MoreAsync(20);
            await contexts.MoreAsync(20);
        }
        finally
        {
            await cluster.ConfigureAsync(new JsonObject { ["switchover_grace"] = null });
        }
        var result = await load.StopAsync();

        Assert.Empty(result.Failures);
        Assert.Empty(await load.MissingAsync());
        Assert.Equal(0, contexts.Retries);   // nothing has seen an exception: no strategy, and no unit of work
        Assert.DoesNotContain(log.Lines, line => line.Contains("a unit of work is repeated", StringComparison.Ordinal));
        Assert.Contains(log.Lines, line => line.Contains("is about to lead, and has", StringComparison.Ordinal));
        Assert.True((await told.Task.WaitAsync(TimeSpan.FromSeconds(10), Cancellation)).LeaderChanged);
    }

    [Fact]
    public async Task While_etcd_is_away_the_last_leader_stays_in_use()
    {
        await using var cluster = await TestCluster.StartAsync(new TestClusterOptions { Nodes = 1, Ttl = 20 });
        await using var source = DriverCluster.Source(cluster);
        await DriverCluster.RunAsync(source, "SELECT 1");

        await cluster.Etcd.StopAsync();
        await WaitUntil.TrueAsync(() => !source.Topology.IsLive);
        await DriverCluster.RunAsync(source, "SELECT 1");

        Assert.Equal("n1", source.Topology.Leader);
    }

    [Fact]
    public async Task Replicas_that_lag_never_show_a_causal_read_the_past()
    {
        var tries = int.Parse(Environment.GetEnvironmentVariable("ROUTING_CAUSAL_TRIES") ?? "2000", null);
        var (cluster, leader) = await fixture.TakeAsync();
        await using var source = DriverCluster.Source(cluster, "Maximum Pool Size=40;Causal Wait=0.05");
        await DriverCluster.RunAsync(source, "CREATE TABLE IF NOT EXISTS seen (reader int PRIMARY KEY, value bigint)");
        using var stop = new CancellationTokenSource();
        var lag = LagAsync(cluster.ReplicasOf(leader), stop.Token);
        var byReplica = 0;
        var stale = 0;

        var left = tries;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async reader =>
        {
            await DriverCluster.RunAsync(
                source, $"INSERT INTO seen VALUES ({reader}, 0) ON CONFLICT (reader) DO UPDATE SET value = 0");
            for (var value = 1L; Interlocked.Decrement(ref left) >= 0; value++)
            {
                CausalToken token;
                await using (var write = await source.OpenConnectionAsync(Cancellation))
                {
                    await using var update =
                        new NpgsqlCommand($"UPDATE seen SET value = {value} WHERE reader = {reader}", write);
                    await update.ExecuteNonQueryAsync(Cancellation);
                    token = await RoutingDataSource.CaptureTokenAsync(write, Cancellation);
                }
                await using var read =
                    await source.OpenConnectionAsync(CausalToken.Parse(token.ToString()), Cancellation);
                await using var look = new NpgsqlCommand($"SELECT value FROM seen WHERE reader = {reader}", read);
                Interlocked.Add(ref stale, (long?)await look.ExecuteScalarAsync(Cancellation) == value ? 0 : 1);
                Interlocked.Add(ref byReplica, read.Port == leader.Port ? 0 : 1);
            }
        }));
        await stop.CancelAsync();
        await lag;

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{tries} tries: {byReplica} by replicas, {tries - byReplica} by the leader, {stale} stale");
        Assert.Equal(0, stale);
        Assert.InRange(byReplica, tries / 10, tries);
    }

    /// <summary>Stops and starts the replay of one replica after the other.</summary>
    private static async Task LagAsync(IReadOnlyList<TestNode> replicas, CancellationToken stop)
    {
        var connections = await Task.WhenAll(replicas.Select(node => node.OpenAsync()));
        try
        {
            for (var turn = 0; !stop.IsCancellationRequested; turn++)
            {
                var connection = connections[turn % connections.Length];
                await SqlAsync(connection, "SELECT pg_wal_replay_pause()");
                await Task.Delay(30, CancellationToken.None);
                await SqlAsync(connection, "SELECT pg_wal_replay_resume()");
                await Task.Delay(10, CancellationToken.None);
            }
        }
        finally
        {
            Array.ForEach(connections, connection => connection.Dispose());
        }

        static async Task SqlAsync(NpgsqlConnection connection, string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync(CancellationToken.None);
        }
    }

    [Theory]
    [InlineData(null)]
    [InlineData("token-of-a-new-etcd")]
    public async Task When_etcd_is_set_up_anew_the_source_goes_on_and_follows_the_next_leader(string? token)
    {
        var (cluster, _) = await fixture.TakeAsync();
        await using var source = DriverCluster.Source(cluster);
        await DriverCluster.RunAsync(source, "SELECT 1");
        var term = source.Topology.Term;

        await cluster.Etcd.WipeAsync(token);
        await DriverCluster.RunAsync(source, "SELECT 1");
        var now = await cluster.HealthyAsync();
        await cluster.UntilAsync(
            () => source.Topology is { IsLive: true } seen && seen.Leader == now.Name && seen.Term < term,
            "the source follows in the new life");
        await DriverCluster.SwitchOverAsync(cluster, now);
        var next = await cluster.LeaderAsync(not: now);
        await cluster.UntilAsync(() => source.Topology.Leader == next.Name, "the source follows the next leader");
        await DriverCluster.RunAsync(source, "CREATE TABLE IF NOT EXISTS after_the_new_etcd (id int)");

        Assert.Equal(next.Name, source.Topology.Leader);
    }
}
