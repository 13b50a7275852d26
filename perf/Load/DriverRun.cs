using System.Data.Common;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Npgsql;
using Routing.Driver;

namespace Routing.Load;

/// <summary>
/// One .NET application, and its ways to the leader: a bare data source, Npgsql's own over all members, the driver, and
/// a proxy between.
/// </summary>
/// <remarks>Expected: the driver is level with the bare data source; a proxy between costs a hop.</remarks>
internal sealed class DriverRun(Options options, Stage stage)
{
    private const int Rows = 1_000_000;   // pgbench -s 10

    /// <summary>Prepared selects at 1, 8 and 64 callers, a connection from the pool for each.</summary>
    public async Task<string> RunAsync()
    {
        int[] members = [stage.PostgresPort, await stage.FollowAsync("n2"), await stage.FollowAsync("n3")];
        using var proxy = await stage.OpenAsync("io_uring", stage.PostgresPort);
        using var haproxy = await stage.OpenAsync("haproxy1", stage.PostgresPort);
        const string Rest =
            "Username=postgres;Database=postgres;SSL Mode=Disable;GSS Encryption Mode=Disable;Maximum Pool Size=64";
        await using var bare = NpgsqlDataSource.Create($"Host=127.0.0.1;Port={stage.PostgresPort};{Rest}");
        await using var multiHost =
            new NpgsqlDataSourceBuilder($"Host={string.Join(',', members.Select(port => $"127.0.0.1:{port}"))};{Rest}")
            .BuildMultiHost();
        await using var driver = RoutingDataSource.Create($"Cluster=load;Etcd={stage.Etcd};{Rest}");
        await using var viaProxy = NpgsqlDataSource.Create($"Host=127.0.0.1;Port={proxy.Port};{Rest}");
        await using var viaHaproxy = NpgsqlDataSource.Create($"Host=127.0.0.1;Port={haproxy.Port};{Rest}");
        (string Name, DbDataSource Source, Route? Route)[] ways =
        [
            ("bare", bare, null), ("multi-host", multiHost.WithTargetSession(TargetSessionAttributes.Primary), null),
            ("driver", driver, null),
            ("bare, through io_uring", viaProxy, proxy), ("bare, through haproxy1", viaHaproxy, haproxy),
        ];
        var table = new StringBuilder("""
            ## One .NET application: a connection from the pool and a prepared select

            A primary and two standbys. CPU is the application's own, and that of the process between.

            | callers | way | TPS | ratio to bare | p50, µs | p99, µs | CPU of the application, µs per transaction | CPU between |
            |---|---|---|---|---|---|---|---|

            """);
        foreach (var callers in options.Clients)
        {
            var rounds = new Rounds<Result>([.. ways.Select(way => way.Name)]);
            foreach (var way in ways)
            {
                // connections, compiled code
                await MeasureAsync(way.Source, way.Route, callers, TimeSpan.FromSeconds(1));
            }
            await rounds.RunAsync(
                options.Runs, way =>
                    MeasureAsync(ways[way].Source, ways[way].Route, callers, TimeSpan.FromSeconds(options.Seconds)));
            var best = rounds.Median("bare", one => one.Tps);
            foreach (var name in rounds.Ways)
            {
                var tps = rounds.Median(name, one => one.Tps);
                table.AppendLine(CultureInfo.InvariantCulture,
                    $"| {callers} | {name} | {tps:F0} | {tps / best:F2} | {rounds.Median(name, one => one.P50):F0} | "
                        + $"{rounds.Median(name, one => one.P99):F0} | {rounds.Median(name, one => one.Own):F1} | "
                        + $"{rounds.Median(name, one => one.Between):F1} |");
            }
        }
        return table.ToString();
    }

    private static async Task<Result> MeasureAsync(DbDataSource source, Route? route, int callers, TimeSpan length)
    {
        GC.Collect();
        var (own, between) = (Environment.CpuUsage.TotalTime, route?.CpuSeconds ?? 0);
        var began = Stopwatch.GetTimestamp();
        var times = await Task.WhenAll(
            Enumerable.Range(0, callers).Select(_ => Task.Run(() => CallAsync(source, began, length))));
        var seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        var (used, usedBetween) =
            ((Environment.CpuUsage.TotalTime - own).TotalMicroseconds, ((route?.CpuSeconds ?? 0) - between) * 1e6);
        var all = times.SelectMany(one => one).Order().ToList();
        return new Result(all.Count / seconds, all[all.Count / 2], all[all.Count * 99 / 100], used / all.Count,
            usedBetween / all.Count);
    }

    private static async Task<List<double>> CallAsync(DbDataSource source, long began, TimeSpan length)
    {
        var times = new List<double>(1 << 16);
        while (Stopwatch.GetElapsedTime(began) < length)
        {
            var start = Stopwatch.GetTimestamp();
            await using (var connection = await OpenAsync(source))
            {
                await using var select =
                    new NpgsqlCommand("SELECT abalance FROM pgbench_accounts WHERE aid = $1", connection);
                select.Parameters.Add(new NpgsqlParameter<int> { TypedValue = Random.Shared.Next(1, Rows + 1) });
                await select.PrepareAsync();
                await select.ExecuteScalarAsync();
            }
            times.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }
        return times;
    }

    // Each has a method of its own that hides the general one, as an application would use it.
    private static ValueTask<NpgsqlConnection> OpenAsync(DbDataSource source) =>
        source is RoutingDataSource routing
            ? routing.OpenConnectionAsync()
            : ((NpgsqlDataSource)source).OpenConnectionAsync();

    /// <summary>
    /// One run: transactions a second, microseconds, and microseconds of processor time for each transaction.
    /// </summary>
    private sealed record Result(double Tps, double P50, double P99, double Own, double Between);
}
