using System.Data.Common;
using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Routing.Cluster.HostChoice;
using Routing.Dcs;
using Routing.Dcs.Etcd;
using Routing.TestKit;

namespace Routing.Micro;

/// <summary>
/// How soon does a data source write again after the leader's node died, counted from the new leader's own word?
/// </summary>
internal static class DriverFailover
{
    public static async Task<string> RunAsync(TestCluster cluster, int times)
    {
        await (await cluster.LeaderAsync()).SqlAsync(
            "CREATE TABLE IF NOT EXISTS written_by_micro (at timestamptz DEFAULT now())");
        await using var store = new EtcdClusterStore(
            new EtcdOptions { Endpoints = [cluster.Etcd.Endpoint] }, "service", cluster.Scope, TimeProvider.System,
            NullLoggerFactory.Instance);
        await using var watch = new TopologyWatch(store, NullLogger<TopologyWatch>.Instance);
        watch.Start();
        var results = new Dictionary<string, List<Outcome>> { ["multi-host"] = [], ["driver"] = [] };
        for (var round = 0; round < times; round++)
        {
            await using (var source = DriverStage.MakeMultiHost(cluster))
            {
                results["multi-host"].Add(await FailOverAsync(cluster, watch, source));
            }
            await using (var source = DriverStage.MakeRouting(cluster))
            {
                results["driver"].Add(await FailOverAsync(cluster, watch, source));
            }
        }
        return string.Join('\n', results.Select(one => string.Create(
            CultureInfo.InvariantCulture,
            $"| {one.Key} | {Median(one.Value, outcome => outcome.FirstWriteMs):0} / "
                + $"{one.Value.Max(outcome => outcome.FirstWriteMs):0} "
            + $"| {Median(one.Value, outcome => outcome.FailedAfter):0} / "
            + $"{one.Value.Max(outcome => outcome.FailedAfter)} "
            + $"| {Median(one.Value, outcome => outcome.LongestWait):0.00} |")));
    }

    private static double Median(List<Outcome> outcomes, Func<Outcome, double> of) =>
        DriverQuestions.Median(outcomes.Select(of));

    private static async Task<Outcome> FailOverAsync(TestCluster cluster, TopologyWatch watch, DbDataSource source)
    {
        var leader = await cluster.HealthyAsync();
        var published = 0L;
        void See(ClusterView view)
        {
            if (HostChooser.LeaderOf(view.Snapshot, watch.Current.HighestTerm, out _) is { } member
                && member.Name != leader.Name)
            {
                Interlocked.CompareExchange(ref published, Stopwatch.GetTimestamp(), 0);
            }
        }
        watch.Changed += See;
        using var stop = new CancellationTokenSource();
        var caller = new Caller(source);
        var running = caller.RunAsync(stop.Token);
        await WaitUntil.TrueAsync(() => caller.Writes.Count > 50);

        await leader.KillAsync();
        await WaitUntil.TrueAsync(() => Volatile.Read(ref published) != 0, TimeSpan.FromSeconds(60));
        await WaitUntil.TrueAsync(() => caller.Last() > published, TimeSpan.FromSeconds(60));
        await stop.CancelAsync();
        await running;
        watch.Changed -= See;
        cluster.StartMissing();
        await cluster.HealthyAsync();

        var first = caller.Writes.First(at => at > published);
        var failed = caller.Failures.Count(at => at > published && at < first);
        var longest = caller.Writes.Zip(caller.Writes.Skip(1))
            .Max(pair => Stopwatch.GetElapsedTime(pair.First, pair.Second).TotalSeconds);
        return new Outcome(Stopwatch.GetElapsedTime(published, first).TotalMilliseconds, failed, longest);
    }

    private sealed record Outcome(double FirstWriteMs, int FailedAfter, double LongestWait);

    /// <summary>Writes row after row, and begins anew after each error, a millisecond later.</summary>
    private sealed class Caller(DbDataSource source)
    {
        private readonly Lock _gate = new();
        private readonly List<long> _writes = [];
        private readonly List<long> _failures = [];

        public IReadOnlyList<long> Writes => Copy(_writes);

        public IReadOnlyList<long> Failures => Copy(_failures);

        public long Last() => Writes is [.., var last] ? last : 0;

        public async Task RunAsync(CancellationToken stop)
        {
            while (!stop.IsCancellationRequested)
            {
                try
                {
                    await using var connection = await DriverStage.OpenAsync(source);
                    await using var insert =
                        new NpgsqlCommand("INSERT INTO written_by_micro DEFAULT VALUES", connection);
                    await insert.ExecuteNonQueryAsync(CancellationToken.None);
                    Add(_writes);
                }
                catch (Exception problem) when (problem is NpgsqlException or TimeoutException)
                {
                    Add(_failures);
                    await Task.Delay(TimeSpan.FromMilliseconds(1), CancellationToken.None);
                }
            }
        }

        private void Add(List<long> list)
        {
            lock (_gate)
            {
                list.Add(Stopwatch.GetTimestamp());
            }
        }

        private IReadOnlyList<long> Copy(List<long> list)
        {
            lock (_gate)
            {
                return [.. list];
            }
        }
    }
}
