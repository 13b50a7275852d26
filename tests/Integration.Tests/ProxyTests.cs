using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Npgsql;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>
/// The proxy before a real cluster, with real clients: Npgsql, and PostgreSQL's own programs on libpq.
/// </summary>
[Collection(SecondCluster.Name)]
public sealed class ProxyTests(ClusterFixture fixture)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Writes_go_to_the_leader_and_reads_are_spread_over_the_replicas()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var proxy = await ProxyProcess.StartAsync(cluster);

        var writes = await PortsAsync(proxy.WritePort, 4);
        var reads = await PortsAsync(proxy.ReadPort, 20);

        Assert.All(writes, port => Assert.Equal(leader.Port, port));
        Assert.Equal(cluster.ReplicasOf(leader).Select(node => node.Port).Order(), reads.Distinct().Order());
        Assert.All(reads.CountBy(port => port), one => Assert.Equal(10, one.Value));
    }

    [Fact]
    public async Task Everything_that_a_session_does_works_through_it()
    {
        var (cluster, _) = await fixture.TakeAsync();
        await using var proxy = await ProxyProcess.StartAsync(cluster);
        await using var connection = await ProxyProcess.OpenAsync(proxy.WritePort);
        await RunAsync(connection, "DROP TABLE IF EXISTS through; CREATE TABLE through (id int, text text)");

        await using (var copy =
            await connection.BeginBinaryImportAsync("COPY through FROM STDIN (FORMAT binary)", Cancellation))
        {
            for (var id = 0; id < 50_000; id++)
            {
                await copy.WriteRowAsync(Cancellation, id, new string('x', id % 300));
            }
            await copy.CompleteAsync(Cancellation);
        }
        await using var prepared = new NpgsqlCommand("SELECT sum(length(text)) FROM through WHERE id < $1",
            connection) { Parameters = { new() { Value = 1000 } } };
        await prepared.PrepareAsync(Cancellation);
        var rows = 0;
        using (var copy = await connection.BeginTextExportAsync("COPY through TO STDOUT", Cancellation))
        {
            while (await copy.ReadLineAsync(Cancellation) is not null)
            {
                rows++;
            }
        }
        var heard = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var listener = await ProxyProcess.OpenAsync(proxy.WritePort);
        listener.Notification += (_, note) => heard.TrySetResult(note.Payload);
        await RunAsync(listener, "LISTEN bell");
        await RunAsync(connection, "NOTIFY bell, 'ding'");
        await listener.WaitAsync(TimeSpan.FromSeconds(15), Cancellation);
        var made = await new NpgsqlCommand("SELECT lo_from_bytea(0, decode(repeat('ab', 100000), 'hex'))",
            connection).ExecuteScalarAsync(Cancellation);
        var large = await new NpgsqlCommand($"SELECT encode(lo_get({made}), 'hex')", connection).ExecuteScalarAsync(
            Cancellation);

        Assert.Equal(Enumerable.Range(0, 1000).Sum(id => id % 300),
            Convert.ToInt32(await prepared.ExecuteScalarAsync(Cancellation), CultureInfo.InvariantCulture));
        Assert.Equal(50_000, rows);
        Assert.Equal("ding", await heard.Task);
        Assert.Equal(string.Concat(Enumerable.Repeat("ab", 100_000)), large);
        var metrics = await proxy.MetricsAsync();
        Assert.Contains("routing_proxy_sessions{listener=\"write\"", metrics, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("io_uring")]
    [InlineData("epoll")]
    [InlineData("portable")]
    public async Task A_COPY_that_fails_half_way_costs_the_client_that_error_and_nothing_else(string transport)
    {
        var (cluster, _) = await fixture.TakeAsync();
        await using var proxy =
            await ProxyProcess.StartAsync(cluster, new ProxyOptions { More = $"transport: {transport}" });
        await using var connection = await ProxyProcess.OpenAsync(proxy.WritePort);
        await RunAsync(connection, "DROP TABLE IF EXISTS halfway; CREATE TABLE halfway (id int, text text)");
        var backend = await new NpgsqlCommand("SELECT pg_backend_pid()", connection).ExecuteScalarAsync(Cancellation);

        // The server sends some twenty megabytes, then the error.
        var rows = 0;
        var outward = await Assert.ThrowsAsync<PostgresException>(async () =>
        {
            using var export = await connection.BeginTextExportAsync(
                "COPY (SELECT 1 / (200000 - g), repeat('x', 100) FROM generate_series(1, 400000) g) TO STDOUT",
                Cancellation);
            while (await export.ReadLineAsync(Cancellation) is not null)
            {
                rows++;
            }
        });
        Assert.Equal(("22012", 199_999), (outward.SqlState, rows));
        Assert.Equal(1, await new NpgsqlCommand("SELECT 1", connection).ExecuteScalarAsync(Cancellation));

        // The client goes on sending when the server has given up long ago.
        var inward = await Assert.ThrowsAsync<PostgresException>(async () =>
        {
            await using var import = await connection.BeginTextImportAsync("COPY halfway FROM STDIN", Cancellation);
            for (var id = 0; id < 400_000; id++)
            {
                await import.WriteAsync(id == 1000
                    ? "no number\tx\n"
                    : string.Create(CultureInfo.InvariantCulture, $"{id}\t{new string('y', 50)}\n"));
            }
        });
        Assert.Equal("22P02", inward.SqlState);
        Assert.Equal(
            0L, await new NpgsqlCommand("SELECT count(*) FROM halfway", connection).ExecuteScalarAsync(Cancellation));

        // And the client that gives up itself.
        await using (var abandoned =
            await connection.BeginBinaryImportAsync("COPY halfway FROM STDIN (FORMAT binary)", Cancellation))
        {
            for (var id = 0; id < 50_000; id++)
            {
                await abandoned.WriteRowAsync(Cancellation, id, "z");
            }
        }
        Assert.Equal(
            0L, await new NpgsqlCommand("SELECT count(*) FROM halfway", connection).ExecuteScalarAsync(Cancellation));
        Assert.Equal(
            backend, await new NpgsqlCommand("SELECT pg_backend_pid()", connection).ExecuteScalarAsync(Cancellation));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_cancel_stops_the_right_backend_on_both_ports(bool onWritePort)
    {
        var (cluster, _) = await fixture.TakeAsync();
        await using var proxy = await ProxyProcess.StartAsync(cluster);
        var port = onWritePort ? proxy.WritePort : proxy.ReadPort;
        await using var victim = await ProxyProcess.OpenAsync(port);
        await using var bystander = await ProxyProcess.OpenAsync(port);
        await using var sleep = new NpgsqlCommand("SELECT pg_sleep(30)", victim);
        var other = RunAsync(bystander, "SELECT pg_sleep(1.5)");
        var begun = Stopwatch.GetTimestamp();

        var sleeping = sleep.ExecuteNonQueryAsync(Cancellation);
        await WaitUntil.TrueAsync(async () => await OthersAsync(port, "pg_sleep(30)") == 1);
        sleep.Cancel();

        await Assert.ThrowsAsync<OperationCanceledException>(() => sleeping);
        BusyMachine.AssertWithin(TimeSpan.FromSeconds(20), Stopwatch.GetElapsedTime(begun));
        await other;   // the same statement of another session was left alone
        Assert.Equal(1, await new NpgsqlCommand("SELECT 1", victim).ExecuteScalarAsync(Cancellation));
    }

    [Fact]
    public async Task Programs_on_libpq_work_and_replication_goes_to_the_write_port_alone()
    {
        var (cluster, _) = await fixture.TakeAsync();
        await using var proxy = await ProxyProcess.StartAsync(cluster);
        using var directory = new TempDirectory("libpq");
        OrdinaryProcess.GiveAway(directory.Path);

        var psql = await PostgresClient.RunAsync(directory, proxy.WritePort, "psql", "-Atc", "select 41 + 1");
        var bench = await PostgresClient.RunAsync(directory, proxy.WritePort, "pgbench", "-i", "-q", "-s", "1");
        var prepared = await PostgresClient.RunAsync(
            directory, proxy.ReadPort, "pgbench", "-n", "-S", "-M", "prepared", "-c", "8", "-T", "2");
        var reconnecting = await PostgresClient.RunAsync(
            directory, proxy.ReadPort, "pgbench", "-n", "-S", "-C", "-c", "4", "-t", "25");
        var backup = await PostgresClient.RunAsync(
            directory, proxy.WritePort, "pg_basebackup", "-D", directory["copy"], "-X", "stream", "-c", "fast");
        var wal = await PostgresClient.RunAsync(directory, proxy.WritePort, "pg_receivewal", "-D", directory.Path,
            "--create-slot", "--if-not-exists", "-S", "through_proxy");
        var refused = await PostgresClient.RunAsync(
            directory, proxy.ReadPort, "pg_basebackup", "-D", directory["none"], "-c", "fast");
        // Unless the agent was quicker: the slot belongs to no member.
        await RunAsync(await ProxyProcess.OpenAsync(proxy.WritePort),
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'through_proxy'");

        Assert.Equal((0, "42"), (psql.Code, psql.Output.Trim()));
        Assert.All([bench, prepared, reconnecting, backup, wal], run => Assert.True(run.Code == 0, run.Output));
        Assert.Contains("number of failed transactions: 0", prepared.Output, StringComparison.Ordinal);
        Assert.NotEqual(0, refused.Code);
        Assert.Contains("replication is not served on the listener", refused.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_switchover_costs_a_client_no_error_and_its_session_is_on_the_new_leader()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var proxy = await ProxyProcess.StartAsync(cluster);
        await using var old = await ProxyProcess.OpenAsync(proxy.WritePort);
        var candidate = cluster.ReplicasOf(leader)[0];
        // The leader goes on as soon as the session is at rest, however late that is on a loaded machine.
        await cluster.ConfigureAsync(new JsonObject { ["switchover_grace"] = 60 });
        try
        {
            var (code, output) = await cluster.CtlAsync(
                "switchover", cluster.Scope, "--leader", leader.Name, "--candidate", candidate.Name, "--force");
            Assert.True(code == 0, output);
        }
        finally
        {
            await cluster.ConfigureAsync(new JsonObject { ["switchover_grace"] = null });
        }
        await using var next = await ProxyProcess.OpenAsync(proxy.WritePort);

        foreach (var connection in new[] { old, next })
        {
            Assert.Equal(candidate.Port,
                await new NpgsqlCommand("SELECT inet_server_port()", connection).ExecuteScalarAsync(Cancellation));
            Assert.Equal(
                false,
                await new NpgsqlCommand("SELECT pg_is_in_recovery()", connection).ExecuteScalarAsync(Cancellation));
        }
    }

    private static async Task<int[]> PortsAsync(int port, int count)
    {
        // All open at once, so that they spread.
        var connections = await Task.WhenAll(Enumerable.Range(0, count).Select(_ => ProxyProcess.OpenAsync(port)));
        var ports = new List<int>();
        foreach (var connection in connections)
        {
            ports.Add(
                (int)(await new NpgsqlCommand("SELECT inet_server_port()", connection).ExecuteScalarAsync(
                    Cancellation))!);
        }
        foreach (var connection in connections)
        {
            await connection.DisposeAsync();
        }
        return [.. ports];
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    private static async Task<long> OthersAsync(int port, string query)
    {
        var count = 0L;
        // The read port may lead to either replica.
        for (var turn = 0; turn < 2; turn++)
        {
            await using var connection = await ProxyProcess.OpenAsync(port);
            await using var command = new NpgsqlCommand(
                $"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{query}%' AND pid <> pg_backend_pid() AND "
                    + "state = 'active'", connection);
            count = Math.Max(count, (long)(await command.ExecuteScalarAsync(Cancellation))!);
        }
        return count;
    }
}
