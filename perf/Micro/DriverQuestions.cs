using System.Data.Common;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Npgsql;

namespace Routing.Micro;

/// <summary>
/// What does the driver cost beside a bare data source, and how soon does it write again after a failover?
/// </summary>
/// <remarks>
/// Expected: an open from the pool takes at most 1.05 times the bare one's time and allocates nothing more; a prepared
/// select is the same within noise; after a failover the first write comes less than 100 ms after the new leader has
/// published itself.
/// </remarks>
internal static class DriverQuestions
{
    private const int OpenRounds = 60;
    private const int Opens = 50_000;
    private const int SelectRounds = 20;
    private const int Failovers = 5;
    private static readonly TimeSpan s_selectTime = TimeSpan.FromSeconds(0.4);
    private static readonly TimeProvider s_time = TimeProvider.System;

    public static async Task<int> RunAsync(TextWriter output)
    {
        await using var stage = await DriverStage.StartAsync();
        output.WriteLine($"""
            # The driver beside Npgsql's own data sources

            A cluster of three on one machine with the clients: one bare `NpgsqlDataSource` on the leader, `NpgsqlMultiHostDataSource` over all hosts
            (target primary), and the driver on etcd. Rounds alternate, each beginning with another way. Where others share the machine the best round is the
            one that was disturbed least; the median stands beside it.

            - Date: {s_time.GetUtcNow():yyyy-MM-dd}
            - Machine: {Environment.ProcessorCount} cores, {GC.GetGCMemoryInfo().TotalAvailableMemoryBytes >> 30} GiB, {RuntimeInformation.OSDescription}
            - Load when measured (1 min): {File.ReadAllText("/proc/loadavg").Split(' ')[0]}
            - Runtime: {RuntimeInformation.FrameworkDescription}, JIT; PostgreSQL 15

            ## Open from the pool and close ({OpenRounds} rounds of {Opens})

            | way | ns, best / median | ratio to bare, best / median | bytes allocated |
            |---|---|---|---|
            {await OpensAsync(stage)}

            ## A prepared select, with its open and close ({SelectRounds} rounds of {s_selectTime.TotalSeconds} s)

            | callers | way | per second, best / median | ratio to bare, best / median |
            |---|---|---|---|
            {await SelectsAsync(stage)}
            """);
        output.WriteLine($"""

            ## Failover: the leader's node is killed ({Failovers} times each)

            One caller writes as fast as it can. Times from the moment at which the new leader's key and member say that it is the primary, as a watch
            of etcd sees it.

            | way | first write after, ms (median / slowest) | attempts that failed after that moment (median / most) | the caller's longest wait, s |
            |---|---|---|---|
            {await DriverFailover.RunAsync(stage.Cluster, Failovers)}
            """);
        return 0;
    }

    private static async Task<string> OpensAsync(DriverStage stage)
    {
        var results = stage.Ways.ToDictionary(
            way => way.Name, _ => (Nanoseconds: new List<double>(), Bytes: new List<double>()));
        foreach (var (_, source) in stage.Ways)
        {
            await OpenManyAsync(source, Opens);   // warm: compiled to the end
        }
        for (var round = 0; round < OpenRounds; round++)
        {
            foreach (var (name, source) in InTurn(stage, round))
            {
                // An open from the pool completes at once, so all of it stays on this thread.
                var before = GC.GetAllocatedBytesForCurrentThread();
                var began = Stopwatch.GetTimestamp();
                await OpenManyAsync(source, Opens);
                results[name].Nanoseconds.Add(Stopwatch.GetElapsedTime(began).TotalNanoseconds / Opens);
                results[name].Bytes.Add((double)(GC.GetAllocatedBytesForCurrentThread() - before) / Opens);
            }
        }
        var bare = results["bare"].Nanoseconds;
        return Lines(
            stage.Ways.Select(way => (way.Name, results[way.Name].Nanoseconds, results[way.Name].Bytes)).Select(row =>
            $"| {row.Name} | {Number(row.Nanoseconds.Min())} / {Number(Median(row.Nanoseconds))} "
            + $"| {Ratio(row.Nanoseconds.Min() / bare.Min())} / {Ratio(Median(row.Nanoseconds) / Median(bare))} | "
            + $"{Number(Median(row.Bytes))} |"));
    }

    // Each round begins with another one: what comes before leaves its traces.
    private static IEnumerable<(string Name, DbDataSource Source)> InTurn(DriverStage stage, int round) =>
        Enumerable.Range(0, stage.Ways.Count).Select(at => stage.Ways[(at + round) % stage.Ways.Count]);

    private static async Task OpenManyAsync(DbDataSource source, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var connection = await DriverStage.OpenAsync(source);
            connection.Dispose();
        }
    }

    private static async Task<string> SelectsAsync(DriverStage stage)
    {
        var lines = new List<string>();
        foreach (var callers in (int[])[1, 8, 64])
        {
            var rates = stage.Ways.ToDictionary(way => way.Name, _ => new List<double>());
            for (var round = 0; round < SelectRounds; round++)
            {
                foreach (var (name, source) in InTurn(stage, round))
                {
                    rates[name].Add(await SelectAsync(source, callers));
                }
            }
            var bare = rates["bare"];
            lines.AddRange(stage.Ways.Select(way => (way.Name, Rates: rates[way.Name])).Select(row =>
                $"| {callers} | {row.Name} | {Number(row.Rates.Max())} / {Number(Median(row.Rates))} "
                + $"| {Ratio(row.Rates.Max() / bare.Max())} / {Ratio(Median(row.Rates) / Median(bare))} |"));
        }
        return Lines(lines);
    }

    private static async Task<double> SelectAsync(DbDataSource source, int callers)
    {
        var count = 0L;
        var began = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(async () =>
        {
            while (Stopwatch.GetElapsedTime(began) < s_selectTime)
            {
                await using var connection = await DriverStage.OpenAsync(source);
                await using var select = new NpgsqlCommand("SELECT 1", connection);
                await select.PrepareAsync();
                await select.ExecuteScalarAsync();
                Interlocked.Increment(ref count);
            }
        })));
        return count / Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] ordered = [.. values.Order()];
        return ordered[ordered.Length / 2];
    }

    private static string Number(double value) => value.ToString("0", CultureInfo.InvariantCulture);

    private static string Ratio(double value) => value.ToString("0.000", CultureInfo.InvariantCulture);

    private static string Lines(IEnumerable<string> lines) => string.Join('\n', lines);
}
