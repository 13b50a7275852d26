using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Npgsql;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Switchovers that the leader announces, and what clients of the proxy see of them.</summary>
/// <remarks>The ten in a row run with ROUTING_TEST_FULL=1 alone.</remarks>
[Collection(SharedCluster.Name)]
public sealed partial class PlannedSwitchoverTests(ClusterFixture fixture)
{
    private const string Table = "planned";
    private static readonly bool s_isFull = Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") is { Length: > 0 };
    private const int Rounds = 10;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task In_a_row_they_cost_clients_of_the_proxy_a_pause_and_nothing_else()
    {
        Assert.SkipUnless(s_isFull, "ROUTING_TEST_FULL=1 runs this drill.");
        var (cluster, leader) = await fixture.TakeAsync();
        using var directory = new TempDirectory("planned");
        OrdinaryProcess.GiveAway(directory.Path);
        await File.WriteAllTextAsync(
            directory["script.sql"], $"BEGIN;\nINSERT INTO {Table} (id) VALUES (DEFAULT);\nEND;\n", Cancellation);
        await leader.SqlAsync($"DROP TABLE IF EXISTS {Table}; CREATE TABLE {Table} (id bigserial, who text)");
        await using var proxy = await ProxyProcess.StartAsync(
            cluster,
            new ProxyOptions { Write = ", hold_time: 60", More = "timeouts: {drain: 2, retry: 60}" });
        await proxy.UntilAsync(
            async () => (await proxy.MetricsAsync()).Contains("routing_proxy_registered 1", StringComparison.Ordinal),
            "the proxy is registered");
        // On a loaded machine two seconds are over before every session is held; the leader goes on as soon as all are.
        await cluster.ConfigureAsync(new JsonObject { ["switchover_grace"] = 60 });
        using var enough = new CancellationTokenSource();
        // With -C each client needs a thread of its own: it waits in its connect, and the others of its thread would be
        // left in the middle of a transaction.
        var benches = (string[][])
            [["-M", "simple"], ["-M", "extended"], ["-M", "prepared"], ["-M", "simple", "-C", "-j", "4"]];
        var running = benches.Select(how => BenchAsync(directory, proxy.WritePort, how, enough.Token)).ToList();
        var writing = WriteAsync(proxy.WritePort, enough.Token);
        var (written, longest) = (0L, TimeSpan.Zero);
        var processed = 0L;
        try
        {
            for (var round = 0; round < Rounds; round++)
            {
                var candidate = cluster.ReplicasOf(leader)[0];
                var (code, text) = await leader.SendAsync(
                    "POST", "/switchover",
                    new JsonObject { ["leader"] = leader.Name, ["candidate"] = candidate.Name });
                Assert.True(code == 200, $"{text}\n{proxy.Log}\n{cluster.Report()}");
                leader = await cluster.HealthyAsync();
            }
        }
        finally
        {
            await enough.CancelAsync();
            await cluster.ConfigureAsync(new JsonObject { ["switchover_grace"] = null });
            processed = (await Task.WhenAll(running)).Sum();
            (written, longest) = await writing;
        }

        Assert.Equal(
            string.Create(CultureInfo.InvariantCulture, $"{processed + written} {processed + written}"),
            await leader.SqlAsync($"SELECT count(*) || ' ' || count(DISTINCT id) FROM {Table}"));
        Assert.True(written > 0 && processed > 0);
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{Rounds} switchovers, {processed + written} rows, longest pause {longest.TotalMilliseconds:F0} ms");
        BusyMachine.AssertWithin(TimeSpan.FromSeconds(10), longest);
    }

    [Fact]
    public async Task A_strict_one_is_called_off_for_one_long_transaction_which_is_named()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await leader.SqlAsync($"CREATE TABLE IF NOT EXISTS {Table} (id bigserial, who text)");
        await using var proxy = await ProxyProcess.StartAsync(cluster, new ProxyOptions { Write = ", hold_time: 60" });
        await cluster.ConfigureAsync(new JsonObject { ["switchover_grace"] = 1, ["switchover_strict"] = true });
        try
        {
            await using var busy = await ProxyProcess.OpenAsync(proxy.WritePort);
            await using var idle = await ProxyProcess.OpenAsync(proxy.WritePort);
            var pid = await ScalarAsync(busy, "SELECT pg_backend_pid()");
            await using var transaction = await busy.BeginTransactionAsync(Cancellation);
            await ScalarAsync(busy, $"INSERT INTO {Table} (who) VALUES ('long') RETURNING id");

            var (code, text) = await leader.SendAsync(
                "POST", "/switchover", new JsonObject { ["leader"] = leader.Name });

            Assert.True(code == 503, text);
            Assert.StartsWith("Switchover failed: after 1 s it still waited for ", text, StringComparison.Ordinal);
            Assert.Contains($"a transaction (session {pid} of postgres", text, StringComparison.Ordinal);
            Assert.Contains("a router (", text, StringComparison.Ordinal);
            Assert.Equal(leader.Name, await cluster.LeaderNameAsync());
            await ScalarAsync(busy, $"INSERT INTO {Table} (who) VALUES ('long') RETURNING id");
            await transaction.CommitAsync(Cancellation);
            await ScalarAsync(idle, "SELECT 1");   // it was held, and goes on
            Assert.Equal("{}", (await cluster.Keys.GetAsync("failover"))!.Value);
        }
        finally
        {
            await cluster.ConfigureAsync(new JsonObject { ["switchover_grace"] = null, ["switchover_strict"] = null });
        }
    }

    private static async Task<long> BenchAsync(
        TempDirectory directory, int port, string[] how, CancellationToken enough)
    {
        var processed = 0L;
        while (!enough.IsCancellationRequested)
        {
            var (code, output) = await PostgresClient.RunAsync(
                directory, port, "pgbench", ["-n", "-f", directory["script.sql"], "-c", "4", "-T", "3", .. how]);
            Assert.True(code == 0, output);
            processed += long.Parse(
                Processed().Match(output).Groups[1].Value, NumberStyles.None, CultureInfo.InvariantCulture);
        }
        return processed;
    }

    // One connection at a time from the pool, and one statement outside a transaction.
    private static async Task<(long Written, TimeSpan Longest)> WriteAsync(int port, CancellationToken enough)
    {
        await using var source = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(ProxyProcess.ConnectionString(port))
            {
                Pooling = true, CommandTimeout = 120, NoResetOnClose = true,
            });
        var (written, longest, last) = (0L, TimeSpan.Zero, Stopwatch.GetTimestamp());
        while (!enough.IsCancellationRequested)
        {
            await using (var connection = await source.OpenConnectionAsync(Cancellation))
            {
                await ScalarAsync(connection, $"INSERT INTO {Table} (who) VALUES ('pool') RETURNING id");
            }
            written++;
            var took = Stopwatch.GetElapsedTime(last);
            (longest, last) = (took > longest ? took : longest, Stopwatch.GetTimestamp());
        }
        return (written, longest);
    }

    private static async Task<object?> ScalarAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Cancellation);
    }

    [GeneratedRegex(@"number of transactions actually processed: (\d+)")]
    private static partial Regex Processed();
}
