using System.Globalization;
using Npgsql;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>The program of the proxy is replaced under real clients, twice in a row.</summary>
[Collection(SharedCluster.Name)]
public sealed class ProxyUpgradeTests(ClusterFixture fixture)
{
    private const int Clients = 16;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_upgrades_in_a_row_cost_pgbench_and_a_session_with_state_nothing()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        using var directory = new TempDirectory("upgrade");
        OrdinaryProcess.GiveAway(directory.Path);
        var more = $"timeouts: {{drain: 2}}\ntake_over: {directory["socket"]}";
        await leader.SqlAsync("DROP TABLE IF EXISTS upgraded; CREATE TABLE upgraded (id bigserial)");
        await File.WriteAllTextAsync(
            directory["script.sql"],
            "BEGIN;\nINSERT INTO upgraded DEFAULT VALUES;\nSELECT count(*) FROM pg_class;\nEND;\n", Cancellation);
        await using var first = await ProxyProcess.StartAsync(cluster, new ProxyOptions { More = more });
        await using var session = await ProxyProcess.OpenAsync(first.WritePort);
        var pid = await ReadAsync(session, "SELECT pg_backend_pid()");
        var heard = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        session.Notification += (_, note) => heard.TrySetResult(note.Payload);
        await ReadAsync(session, "SET statement_timeout = '123s'; LISTEN upgrades; CREATE TEMP TABLE mine (id int)");
        await ReadAsync(session, "SELECT pg_advisory_lock(4711); PREPARE doubled (int) AS SELECT $1 * 2");
        await using var open = await ProxyProcess.OpenAsync(first.WritePort);
        await using var transaction = await open.BeginTransactionAsync(Cancellation);
        var openPid = await ReadAsync(open, "SELECT pg_backend_pid()");
        await using var slow = await ProxyProcess.OpenAsync(first.WritePort);
        var answer = ReadAsync(slow, "SELECT pg_sleep(3), 'slept'", column: 1);
        var bench = PostgresClient.RunAsync(
            directory, first.WritePort, "pgbench", "-n", "-f", directory["script.sql"], "-M", "prepared", "-c",
            Clients.ToString(CultureInfo.InvariantCulture), "-j", "2", "-T", "6");
        var before = await BackendsAsync();

        await using var second = await NextAsync(first);
        await using var third = await NextAsync(second);
        var after = await BackendsAsync();

        // On a slow machine pgbench may be done by now.
        Assert.True(before == after || bench.IsCompleted, $"{before} were {after} later");
        Assert.Equal(pid, await ReadAsync(session, "SELECT pg_backend_pid()"));
        Assert.Equal("123s", await ReadAsync(session, "SHOW statement_timeout"));
        Assert.Equal("42", await ReadAsync(session, "EXECUTE doubled (21)"));
        Assert.Equal("0", await ReadAsync(session, "SELECT count(*) FROM mine"));
        Assert.Equal("True", await ReadAsync(session, "SELECT pg_advisory_unlock(4711)"));
        await ReadAsync(open, "NOTIFY upgrades, 'done'");
        Assert.Equal(openPid, await ReadAsync(open, "SELECT pg_backend_pid()"));
        await transaction.CommitAsync(Cancellation);
        while (!heard.Task.IsCompleted)
        {
            Assert.True(await session.WaitAsync(TimeSpan.FromSeconds(30), Cancellation), "nothing was heard");
        }
        Assert.Equal("done", await heard.Task);
        Assert.Equal("slept", await answer);
        var result = await bench;
        Assert.True(result.Code == 0, $"{result.Output}\n{third.Log}");
        Assert.Contains("number of failed transactions: 0 ", result.Output, StringComparison.Ordinal);
        var processed = result.Output.Split("actually processed: ")[1].Split('\n')[0].Trim();
        Assert.Equal(processed, await leader.SqlAsync("SELECT count(DISTINCT id) FROM upgraded"));

        async Task<ProxyProcess> NextAsync(ProxyProcess old)
        {
            var next = await ProxyProcess.StartAsync(cluster, new ProxyOptions
            {
                More = more, Beside = old, Arguments = ["--take-over"], UntilReady = false,
            });
            try
            {
                await next.UntilAsync(() => next.Log.Contains("Took over", StringComparison.Ordinal), "it takes over");
                var code = await old.WaitForExitAsync();
                Assert.True(code == 0, $"exit code {code}\n{old.Log}");
                Assert.Contains("; 0 stay in the old process", next.Log, StringComparison.Ordinal);
                return next;
            }
            catch
            {
                await next.DisposeAsync();
                throw;
            }
        }

        async Task<string> BackendsAsync()
        {
            var pids = "";
            await WaitUntil.TrueAsync(
                async () =>
                {
                    pids = await leader.SqlAsync(
                        "SELECT string_agg(pid::text, ',' ORDER BY pid) FROM pg_stat_activity "
                            + "WHERE application_name = 'pgbench'") ?? "";
                    return pids.Split(',').Length == Clients || bench.IsCompleted;
                },
                TestCluster.Patience);
            return pids;
        }
    }

    private static async Task<string> ReadAsync(NpgsqlConnection connection, string sql, int column = 0)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync(Cancellation);
        return await reader.ReadAsync(Cancellation)
            ? Convert.ToString(reader.GetValue(column), CultureInfo.InvariantCulture)!
            : "";
    }
}
