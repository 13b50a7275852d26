using Npgsql;
using Routing.Integration.Tests.Migration;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>A living cluster goes back in time: <c>routingctl restore</c>, with a real pgBackRest.</summary>
public sealed class RestoreTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(4);

    [Fact]
    public async Task A_cluster_of_three_goes_back_to_the_moment_before_a_mistake()
    {
        using var repository = new BackupRepository();
        await using var cluster = await TestCluster.StartAsync(new() { Configure = repository.Configure });
        var leader = await cluster.HealthyAsync();
        await using var proxy = await ProxyProcess.StartAsync(cluster);
        await leader.SqlAsync("CREATE TABLE visits (at timestamptz DEFAULT now())");
        await using (var load = await Writer.StartAsync(cluster, Writer.LongPatience))
        {
            await repository.BeginAsync(leader);
            await load.MoreAsync(50);
        }
        var rows = await leader.SqlAsync("SELECT count(*) FROM written");
        var client = await leader.SqlAsync("SELECT max(client) FROM written");
        var moment = (await leader.SqlAsync("SELECT clock_timestamp()::text"))!;
        await leader.SqlAsync("DELETE FROM written WHERE id % 2 = 0");
        await using var mistakes = await Writer.StartAsync(cluster, Writer.LongPatience);
        await mistakes.MoreAsync(20);
        await using var visitor = new Visitor(proxy.WritePort);
        await cluster.UntilAsync(() => visitor.Visits > 0, "a client writes through the proxy");
        var lost = string.Join(", ", mistakes.Writes.Select(write => write.Id));

        // What it would do, and what it cannot do, are told before anything happens.
        var (code, text) = await cluster.CtlAsync("restore", "pay", "--to", "2001-01-01 00:00:00+00", "--force");
        Assert.True(code == 1 && text.Contains("the repository does not cover time 2001-01-01"), text);
        (code, text) = await cluster.CtlAsync("restore", "pay", "--to", moment, "--dry-run");
        Assert.True(code == 0 && text.Contains("Nothing was changed: this was a dry run."), text);
        Assert.Contains($"on {leader.Name}, the leader", text);
        Assert.Null(await cluster.Keys.GetAsync("routing/restore"));

        var isFull = Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") == "1";
        if (isFull)
        {
            await CallOffAsync(cluster, leader, moment);
        }
        var begun = leader.CountInLog("restore command begin");
        (code, text) = await cluster.CtlAsync("restore", "pay", "--to", moment, "--force", "--no-wait");
        Assert.True(code == 0, text);
        var followed = HandMadeServers.TryAsync(
            leader, Programs.Ctl, "-c", leader.ConfigFile, "restore", "pay", "--follow");
        if (isFull)
        {
            await LoseAgentAsync(cluster, leader, begun);
        }
        await cluster.UntilAsync(
            async () =>
            {
                var state = await cluster.Keys.GetAsync("routing/restore");
                Assert.False(state?.Value.Contains("\"failed\"", StringComparison.Ordinal) == true,
                    state?.Value + leader.LogTail());
                return state is null;
            },
            "the restore has ended", s_patience);

        (code, text) = await followed;
        Assert.True(code == 0 && text.Contains("Done: every member follows.", StringComparison.Ordinal), text);
        Assert.Equal(leader, await cluster.HealthyAsync(s_patience));
        await mistakes.MoreAsync(5);
        await mistakes.StopAsync();
        var visits = visitor.Visits;
        await cluster.UntilAsync(() => visitor.Visits > visits + 1, "the proxy's client has followed");
        Assert.NotEqual("0", await leader.SqlAsync("SELECT count(*) FROM visits"));
        foreach (var node in cluster.Nodes)
        {
            await cluster.UntilAsync(
                async () => await node.SqlAsync($"SELECT count(*) FROM written WHERE client = {client}") == rows,
                $"{node.Name} has the rows of that moment");
            Assert.Equal("0", await node.SqlAsync(
                $"SELECT count(*) FROM written WHERE client > {client} AND id IN ({lost})"));
        }
        Assert.Equal(2, (int)(await leader.DocumentAsync("/patroni"))["timeline"]!);
        Assert.NotEmpty(Directory.GetDirectories(
            Path.GetDirectoryName(leader.DataDirectory)!, $"{Path.GetFileName(leader.DataDirectory)}.before-*"));
    }

    /// <summary>An operator calls it off while the leader restores: the cluster goes on with all that it had.</summary>
    private static async Task CallOffAsync(TestCluster cluster, TestNode leader, string moment)
    {
        var rows = await leader.SqlAsync("SELECT count(*) FROM written");
        var (code, text) = await cluster.CtlAsync("restore", "pay", "--to", moment, "--force", "--no-wait");
        Assert.True(code == 0, text);
        await cluster.UntilAsync(
            async () => (await cluster.Keys.GetAsync("routing/restore"))?.Value.Contains(
                "\"restoring\"", StringComparison.Ordinal) == true,
            "the leader restores");
        (code, text) = await cluster.CtlAsync("restore", "pay", "--call-off");
        Assert.True(code == 0, text);
        await cluster.UntilAsync(
            async () => leader.PostmasterPid is not null
                && await leader.SqlAsync("SELECT pg_is_in_recovery()::text") == "false",
            "the leader has its former data again", s_patience);
        Assert.Equal(leader, await cluster.HealthyAsync(s_patience));
        Assert.Equal("true", await leader.SqlAsync($"SELECT (count(*) >= {rows})::text FROM written"));
        Assert.Equal(1, (int)(await leader.DocumentAsync("/patroni"))["timeline"]!);
    }

    /// <summary>Its agent dies in the middle: nobody else leads meanwhile, and the next one goes on.</summary>
    private static async Task LoseAgentAsync(TestCluster cluster, TestNode leader, int begun)
    {
        await cluster.UntilAsync(
            () => leader.CountInLog("restore command begin") > begun, "pgBackRest restores");
        await leader.KillAgentAsync();
        await cluster.UntilAsync(
            async () =>
            {
                var holder = await cluster.Keys.GetAsync("leader");
                Assert.True(holder is null || holder.Value == leader.Name, $"{holder?.Value} leads");
                return holder is null;
            },
            "its lease has ended", s_patience);
        Assert.Contains("\"restoring\"", (await cluster.Keys.GetAsync("routing/restore"))?.Value ?? "",
            StringComparison.Ordinal);
        leader.Start();
    }

    /// <summary>A client that writes through the proxy, and connects anew after each error.</summary>
    private sealed class Visitor : IAsyncDisposable
    {
        private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(20);
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _work;
        private int _visits;

        public Visitor(int port) => _work = VisitAsync(port);

        /// <summary>So many were acknowledged.</summary>
        public int Visits => Volatile.Read(ref _visits);

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _work;
            _stop.Dispose();
        }

        private async Task VisitAsync(int port)
        {
            while (!_stop.IsCancellationRequested)
            {
                try
                {
                    await using var session = await ProxyProcess.OpenAsync(port);
                    while (!_stop.IsCancellationRequested)
                    {
                        await using var insert = new NpgsqlCommand("INSERT INTO visits DEFAULT VALUES", session);
                        await insert.ExecuteNonQueryAsync(CancellationToken.None);
                        Interlocked.Increment(ref _visits);
                        await Task.Delay(s_pause, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    }
                }
                catch (Exception lost) when (lost is NpgsqlException or IOException or TimeoutException)
                {
                    await Task.Delay(s_pause, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
            }
        }
    }
}
