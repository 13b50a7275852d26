using System.Collections.Concurrent;
using System.Diagnostics;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>
/// pgbench after pgbench through the proxy, so that load goes on although pgbench gives up a client that saw an error.
/// </summary>
/// <remarks>Every transaction writes down which server took it.</remarks>
internal sealed class PgbenchLoad : IAsyncDisposable
{
    private const string Table = "pgbench_load";
    private readonly TempDirectory _directory = new("pgbench");
    private readonly ConcurrentQueue<(int Code, string Output, TimeSpan Took)> _runs = new();
    private readonly int _port;
    private readonly List<Task> _workers;
    private volatile bool _isStopped;

    private PgbenchLoad(int port)
    {
        _port = port;
        OrdinaryProcess.GiveAway(_directory.Path);
        File.WriteAllText(_directory["script.sql"],
            $"BEGIN;\nINSERT INTO {Table} (port) VALUES (inet_server_port());\nEND;\n");
        // Half of them connect for every transaction, half keep their sessions.
        _workers = [.. Enumerable.Range(0, 4).Select(number => WorkAsync(number % 2 == 0 ? ["-C"] : []))];
    }

    /// <summary>How many runs have ended.</summary>
    public int Runs => _runs.Count;

    /// <summary>Makes the table and begins.</summary>
    public static async Task<PgbenchLoad> StartAsync(TestNode leader, int port)
    {
        await leader.SqlAsync($"DROP TABLE IF EXISTS {Table}; CREATE TABLE {Table} (id bigserial, port int)");
        return new PgbenchLoad(port);
    }

    /// <summary>Waits until each worker has ended some more runs.</summary>
    public Task MoreAsync(TestCluster cluster)
    {
        var seen = Runs;
        return cluster.UntilAsync(() => Runs >= seen + 8, "pgbench runs on");
    }

    /// <summary>Ends it, and looks at what pgbench saw and at what was written.</summary>
    /// <param name="before">The leader in the beginning.</param>
    /// <param name="now">The present one, another or the same.</param>
    public async Task NobodyHungAndAllGoesToTheNewLeaderAsync(TestNode before, TestNode now)
    {
        await StopAsync();
        var failed = _runs.Where(run => run.Code != 0).Select(run => run.Output).ToList();
        Assert.All(failed, output =>
        {
            Assert.DoesNotContain("connection to server", output, StringComparison.Ordinal);   // a login that failed
            Assert.DoesNotContain("read-only", output, StringComparison.Ordinal);
        });
        Assert.All(_runs, run => Assert.True(
            run.Took < TimeSpan.FromSeconds(25) || BusyMachine.IsBusy, $"pgbench hung for {run.Took}\n{run.Output}"));
        Assert.All(_runs.TakeLast(4), run => Assert.True(run.Code == 0, run.Output));
        if (before != now)
        {
            Assert.Equal("0", await now.SqlAsync(
                $"SELECT count(*) FROM {Table} WHERE port = {before.Port} AND id > (SELECT min(id) FROM {Table} WHERE "
                    + $"port = {now.Port})"));
            Assert.NotEqual("0", await now.SqlAsync($"SELECT count(*) FROM {Table} WHERE port = {now.Port}"));
        }
    }

    /// <summary>Ends it: nobody saw any error.</summary>
    public async Task NobodyNoticedAsync()
    {
        await StopAsync();
        Assert.All(_runs, run => Assert.True(run.Code == 0, run.Output));
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _directory.Dispose();
    }

    private async Task StopAsync()
    {
        _isStopped = true;
        await Task.WhenAll(_workers);
    }

    private async Task WorkAsync(string[] how)
    {
        while (!_isStopped)
        {
            var begun = Stopwatch.GetTimestamp();
            var (code, output) = await PostgresClient.RunAsync(
                _directory, _port, "pgbench", ["-n", "-f", _directory["script.sql"], "-c", "2", "-T", "1", .. how]);
            _runs.Enqueue((code, output, Stopwatch.GetElapsedTime(begun)));
        }
    }
}
