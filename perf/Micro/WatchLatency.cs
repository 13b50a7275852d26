using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging.Abstractions;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Dcs.Etcd;
using Routing.TestKit;

namespace Routing.Micro;

/// <summary>How long after a put is called does the topology watch of another client show it?</summary>
/// <remarks>
/// Expected: nearly all of it is etcd's own write to disk; from the answer of the put to the snapshot it is about 0.1
/// ms, often less than nothing, as the push and the answer leave etcd together. Server and both clients share the
/// machine.
/// </remarks>
internal static class WatchLatency
{
    private const int Warmup = 100;
    private static readonly TimeProvider s_time = TimeProvider.System;

    public static async Task<int> RunAsync(TextWriter output)
    {
        await using var etcd = await EtcdServer.StartAsync();
        await using var writer = Connect(etcd.Endpoint);
        await using var reader = Connect(etcd.Endpoint);
        await using var topology = new TopologyWatch(reader, NullLogger<TopologyWatch>.Instance);
        var seen = new ConcurrentQueue<(long Revision, long At)>();
        topology.Changed += view => seen.Enqueue((view.Snapshot.Revision, s_time.GetTimestamp()));
        topology.Start();
        await WaitUntil.TrueAsync(() => topology.Current.IsLive);
        await MeasureAsync(writer, seen, Warmup, TimeSpan.Zero);

        var apart = await MeasureAsync(writer, seen, 300, TimeSpan.FromMilliseconds(5));
        var together = await MeasureAsync(writer, seen, 600, TimeSpan.Zero);

        output.WriteLine($"""
            # Put to snapshot

            Time from the call of a put to the moment when the topology watch of another client publishes the snapshot that
            holds it; one etcd member, writer and watch on one machine, all in one process but etcd. A put whose snapshot was
            coalesced with a later one counts until that one.

            - Date: {s_time.GetUtcNow():yyyy-MM-dd}
            - Machine: {Environment.ProcessorCount} cores, {GC.GetGCMemoryInfo().TotalAvailableMemoryBytes >> 30} GiB, {RuntimeInformation.OSDescription}
            - Load when measured (1 min): {File.ReadAllText("/proc/loadavg").Split(' ')[0]}
            - Runtime: {RuntimeInformation.FrameworkDescription}, {(System.Runtime.CompilerServices.RuntimeFeature.IsDynamicCodeCompiled ? "JIT" : "NativeAOT")}

            | puts | put → answer p50 / p99, µs | put → snapshot seen p50 / p99, µs | slowest, µs |
            |---|---|---|---|
            {Row("300, 5 ms apart", apart)}
            {Row("600, back to back", together)}
            """);
        return 0;
    }

    private static EtcdClusterStore Connect(Uri endpoint) => new(
        new EtcdOptions { Endpoints = [endpoint] }, "/service/", "micro", s_time, NullLoggerFactory.Instance);

    private static async Task<List<(double Answer, double Seen)>> MeasureAsync(
        EtcdClusterStore writer, ConcurrentQueue<(long Revision, long At)> seen, int count, TimeSpan apart)
    {
        seen.Clear();
        var puts = new List<(long Revision, long Called, long Answered)>();
        for (var i = 0; i < count; i++)
        {
            var called = s_time.GetTimestamp();
            var written = await writer.PutAsync(
                ClusterKeys.Status, $$"""{"optime":{{i + 1}}}""", WriteCondition.Always, 0, CancellationToken.None);
            puts.Add((written.IsDone ? written.Revision : throw new InvalidOperationException($"{written}"), called,
                s_time.GetTimestamp()));
            if (apart > TimeSpan.Zero)
            {
                await Task.Delay(apart);
            }
        }
        await WaitUntil.TrueAsync(() => !seen.IsEmpty && seen.Last().Revision >= puts[^1].Revision);

        var pushes = seen.ToArray();
        var next = 0;
        var latencies = new List<(double, double)>();
        foreach (var put in puts)
        {
            while (pushes[next].Revision < put.Revision)
            {
                next++;
            }
            latencies.Add((Micros(put.Called, put.Answered), Micros(put.Called, pushes[next].At)));
        }
        return latencies;
    }

    private static double Micros(long from, long to) => s_time.GetElapsedTime(from, to).TotalMicroseconds;

    private static string Row(string name, List<(double Answer, double Seen)> latencies)
    {
        double[] answers = [.. latencies.Select(latency => latency.Answer).Order()];
        double[] seen = [.. latencies.Select(latency => latency.Seen).Order()];
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {name} | {At(answers, 0.5):0} / {At(answers, 0.99):0} | {At(seen, 0.5):0} / {At(seen, 0.99):0} | "
                + $"{seen[^1]:0} |");
    }

    private static double At(double[] ordered, double quantile) =>
        ordered[(int)Math.Ceiling(quantile * ordered.Length) - 1];
}
