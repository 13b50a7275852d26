using System.Globalization;
using System.Text.Json.Nodes;
using Npgsql;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Two clusters, of which one follows the other: each with its own etcd, as in two data centres.</summary>
public sealed class StandbyClusterTests
{
    private static readonly TimeSpan s_patience = TwoDataCentres.Patience;

    private static readonly int s_nodes = TwoDataCentres.IsFull ? 3 : 2;

    /// <summary>
    /// The commands of <c>docs/standby-cluster.md</c>, in its order: the side, and what is run there.
    /// </summary>
    private readonly Queue<(char Side, string[] Words)> _page = new(
        Repository.Document("standby-cluster.md").Split('\n').Select(line => line.Trim())
            .Where(line => line.Length > 3 && line[1..3] == "$ ")
            .Select(line => (line[0], line[3..].Split(' '))));

    [Fact]
    public async Task Two_data_centres_replicate_fail_over_and_switch_without_a_loss()
    {
        await using var a = await StartPrimarySideAsync();
        await DoesAsync(a, "a$ edit-config");
        await using var b = await StartStandbySideAsync(a);
        await DoesAsync(b, "b$ list");
        await (await a.LeaderAsync()).SqlAsync("CREATE TABLE counter AS SELECT 0 AS n");
        await using var counter = Counter.Start([.. a.Nodes, .. b.Nodes]);
        await counter.MoreAsync(20);
        await FollowsAsync(b, counter);

        // A failover on the primary side: the standby leader finds the new primary among the hosts.
        await a.SynchronousAsync();
        var leader = await a.LeaderAsync();
        await leader.KillAsync();
        await a.LeaderAsync(not: leader, within: s_patience);
        leader.Start();
        await counter.MoreAsync(20);
        await FollowsAsync(b, counter);

        // A failover on the standby side.
        var standbyLeader = await TwoDataCentres.StandbyLeaderAsync(b);
        await standbyLeader.KillAsync();
        var next = await TwoDataCentres.StandbyLeaderAsync(b, not: standbyLeader);
        standbyLeader.Start();
        await counter.MoreAsync(20);
        await FollowsAsync(b, counter);
        Assert.Equal((200, 200, 503), (await next.StatusAsync("/standby-leader"), await next.StatusAsync("/leader"),
            await next.StatusAsync("/primary")));
        await DoesAsync(b, "b$ switchover");
        next = await TwoDataCentres.StandbyLeaderAsync(b, not: next);
        await a.HealthyAsync(s_patience);

        // By mistake: the section is taken away while the other side is the primary.
        var (edited, problem) = await b.CtlAsync("edit-config", "--set", "standby_cluster=null", "--force", "-q");
        Assert.True(edited == 0, problem);
        await b.UntilAsync(() => Task.FromResult(next.CountInLog("[remote_primary]") > 0),
            "the standby leader is not promoted", s_patience);
        Assert.Equal((200, 503), (await next.StatusAsync("/standby-leader"), await next.StatusAsync("/primary")));
        var (code, _) = await next.SendAsync(
            "PATCH", "/config", new JsonObject { ["standby_cluster"] = TwoDataCentres.SectionFor(a) });
        Assert.Equal(200, code);
        await FollowsAsync(b, counter);
        var rewinds = a.Nodes.Sum(node => node.CountInLog("[rewinds]"));

        // By mistake: the other side still is the primary.
        var why = await DoesAsync(b, "b$ promote-cluster", code: 1);
        Assert.Contains("still is the primary", why, StringComparison.Ordinal);

        // The switch: one command on each side.
        var told = await DoesAsync(a, "a$ demote-cluster", values: TwoDataCentres.OptionsFor(b));
        var command = told.Split('\n').Single(line => line.Contains("promote-cluster", StringComparison.Ordinal));
        await DoesAsync(b, "b$ promote-cluster", values: command.Trim().Split(' ')[2..]);

        await counter.MoreAsync(20);
        await FollowsAsync(a, counter);
        await DoesAsync(a, "a$ list");
        Assert.Empty(counter.Faults);
        Assert.Equal("False", await (await b.LeaderAsync(within: s_patience)).SqlAsync("SELECT pg_is_in_recovery()"));
        Assert.Equal(rewinds, a.Nodes.Sum(node => node.CountInLog("[rewinds]")));

        // The other side is lost: only force makes this one a primary.
        await counter.StopAsync();
        foreach (var node in b.Nodes)
        {
            await node.KillAsync();
        }
        await DoesAsync(a, "a$ promote-cluster");
        Assert.Empty(_page);
        Assert.Equal("False", await (await a.LeaderAsync(within: s_patience)).SqlAsync("SELECT pg_is_in_recovery()"));
        var config = (await a.Keys.GetAsync("config"))!.Json.ToJsonString();
        Assert.DoesNotContain("routing_", config, StringComparison.Ordinal);
    }

    /// <summary>Runs the page's next command, which has to be this one.</summary>
    /// <param name="cluster">The side that it is run on.</param>
    /// <param name="name">The page's prompt for that side, and the command.</param>
    /// <param name="values">Options with the values of this test, in place of the page's.</param>
    /// <param name="code">The exit code that it has to have.</param>
    /// <returns>What it printed.</returns>
    private async Task<string> DoesAsync(TestCluster cluster, string name, string[]? values = null, int code = 0)
    {
        var (side, words) = _page.Dequeue();
        Assert.Equal(("routingctl", name), (words[0], $"{side}$ {words[1]}"));
        string[] command = [.. words[1..]];
        for (var i = 0; values is not null && i + 1 < values.Length; i += 2)
        {
            var at = Array.IndexOf(command, values[i]);
            Assert.True(at >= 0, $"the page's command has no {values[i]}: {string.Join(' ', command)}");
            command[at + 1] = values[i + 1];
        }
        var (ended, output) = await cluster.CtlAsync(command);
        Assert.True(ended == code, $"{string.Join(' ', command)}: exit code {ended}: {output}\n{cluster.Report()}");
        return output;
    }

    private static Task<TestCluster> StartPrimarySideAsync() => TestCluster.StartAsync(new TestClusterOptions
    {
        Nodes = s_nodes,
        Dcs = new JsonObject
        {
            ["synchronous_mode"] = true,   // a leader that is killed must not take a number along
        },
    });

    private static Task<TestCluster> StartStandbySideAsync(TestCluster a) => TwoDataCentres.StartFollowerAsync(
        new TestClusterOptions
        {
            Nodes = s_nodes,
            Dcs = new JsonObject
            {
                ["standby_cluster"] = TwoDataCentres.SectionFor(a),
                ["slots"] = TwoDataCentres.SlotsWith(),
            },
        });

    /// <summary>Every started member of the cluster gets what was acknowledged by now.</summary>
    private static async Task FollowsAsync(TestCluster cluster, Counter counter)
    {
        var target = counter.Last;
        foreach (var node in cluster.Nodes.Where(node => node.IsStarted))
        {
            await cluster.UntilAsync(
                async () =>
                {
                    try
                    {
                        return long.Parse(await node.SqlAsync("SELECT n FROM counter") ?? "0",
                            CultureInfo.InvariantCulture) >= target;
                    }
                    catch (NpgsqlException)
                    {
                        return false;   // it starts, or has not got the table yet
                    }
                },
                $"{node} of a cluster has counted to {target}", s_patience);
        }
    }

    /// <summary>A client that counts up in the database, wherever one accepts it.</summary>
    private sealed class Counter : IAsyncDisposable
    {
        private readonly IReadOnlyList<TestNode> _nodes;
        private readonly CancellationTokenSource _stop = new();
        private readonly List<string> _faults = [];
        private long _last;
        private long _count;
        private Task _work = Task.CompletedTask;

        private Counter(IReadOnlyList<TestNode> nodes) => _nodes = nodes;

        /// <summary>The highest number that was acknowledged.</summary>
        public long Last => Volatile.Read(ref _last);

        /// <summary>Each time that the counter went back, or that two servers counted.</summary>
        public IReadOnlyList<string> Faults
        {
            get
            {
                lock (_faults)
                {
                    return [.. _faults];
                }
            }
        }

        public static Counter Start(IReadOnlyList<TestNode> nodes)
        {
            var counter = new Counter(nodes);
            counter._work = Task.Run(counter.RunAsync);
            return counter;
        }

        public Task MoreAsync(int count)
        {
            var target = Volatile.Read(ref _count) + count;
            return WaitUntil.TrueAsync(() => Task.FromResult(Volatile.Read(ref _count) >= target), s_patience,
                $"{count} more numbers are counted");
        }

        public async Task StopAsync()
        {
            await _stop.CancelAsync();
            await _work;
        }

        public async ValueTask DisposeAsync()
        {
            await StopAsync();
            _stop.Dispose();
        }

        private async Task RunAsync()
        {
            while (!_stop.IsCancellationRequested)
            {
                foreach (var node in _nodes)
                {
                    try
                    {
                        await CountOnAsync(node);
                    }
                    catch (Exception error) when (error is NpgsqlException or TimeoutException
                        || (error is OperationCanceledException && _stop.IsCancellationRequested))
                    {
                        await Task.Delay(20);   // it is a standby, or away, or the test is over
                    }
                }
            }
        }

        private async Task CountOnAsync(TestNode node)
        {
            await using var connection = new NpgsqlConnection(node.ConnectionString + ";Timeout=3;Command Timeout=5");
            await connection.OpenAsync(_stop.Token);
            await using var command = new NpgsqlCommand("UPDATE counter SET n = n + 1 RETURNING n", connection);
            while (!_stop.IsCancellationRequested)
            {
                var number = Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
                if (number <= _last)
                {
                    lock (_faults)
                    {
                        _faults.Add($"{node} counted {number} after {_last}");
                    }
                }
                Volatile.Write(ref _last, Math.Max(number, _last));
                Volatile.Write(ref _count, _count + 1);
                await Task.Delay(5);
            }
        }
    }
}
