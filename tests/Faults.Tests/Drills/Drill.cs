using System.Diagnostics;
using Routing.TestKit;

namespace Routing.Faults.Tests.Drills;

/// <summary>One fault in one mode: strikes a whole cluster under load, heals it, and judges what was seen.</summary>
internal static class Drill
{
    private static readonly TimeSpan s_healingLimit = TimeSpan.FromSeconds(120);

    public static async Task<DrillResult> RunAsync(Ground ground, Fault fault, CommitMode mode)
    {
        var result = new DrillResult(fault.Name, mode);
        TestCluster? cluster = null;
        try
        {
            (cluster, var leader, var standby) = await ground.TakeAsync(mode, fault.Failsafe);
            await using var published = new PublishedPosition(cluster, leader);
            await using var watch = new PrimaryWatch(cluster);
            await using var judge = await Judge.StartAsync(cluster, leader, isSynchronous: mode != CommitMode.Async);
            var stage = new Stage(cluster, ground.Network, leader, standby, judge);
            var timeline = judge[leader].Writes[^1].Timeline;

            var struck = Stopwatch.GetTimestamp();
            try
            {
                await fault.StrikeAsync(stage);
            }
            finally
            {
                result.HasMoved = await HasMovedAsync(cluster, leader);
                await stage.HealAsync();
            }
            var healed = Stopwatch.GetTimestamp();
            var now = await cluster.HealthyAsync(s_healingLimit);
            result.Healing = Stopwatch.GetElapsedTime(healed);
            await judge[now].MoreAsync(50);

            result.HasMoved |= now != leader;
            result.Lost = await judge.LostOnAsync(now);
            result.Behind = await published.BehindAsync(now, timeline);
            result.Overlap = watch.Overlap;
            result.Acknowledged = judge.Writes.Count;
            result.Outage = OutageFrom(struck, judge.Writes);
            result.Failure = Judge.FaultIn(judge.Writes) ?? FailureOf(fault, result);
        }
        catch (Exception problem) when (problem is not OperationCanceledException)
        {
            result.Failure = $"{problem.GetType().Name}: {problem.Message}";
        }
        ground.Report.Add(result, ground.NetworkKind);
        if (result.Failure is not null && cluster is not null)
        {
            result.Failure += cluster.Report();
            Keep(cluster, result);
        }
        return result;
    }

    /// <summary>The longest time between two answers, the first of them perhaps from before the strike.</summary>
    private static TimeSpan OutageFrom(long struck, IReadOnlyList<AcknowledgedWrite> writes) =>
        writes.Zip(writes.Skip(1)).Where(pair => pair.Second.Ended >= struck)
            .Select(pair => Stopwatch.GetElapsedTime(pair.First.Ended, pair.Second.Ended)).DefaultIfEmpty().Max();

    private static string? FailureOf(Fault fault, DrillResult result) => result switch
    {
        { Overlap.Ticks: > 0 } => $"two primaries for {result.Overlap.TotalMilliseconds:0} ms",
        { Mode: not CommitMode.Async, Lost: > 0 } => $"{result.Lost} acknowledged writes are lost",
        { Behind: > Ground.MaximumLag } => $"the new leader lacked {result.Behind} bytes of the published position",
        { HasMoved: true } when fault.Leadership == Leadership.Stays => "the leader has changed",
        { HasMoved: false } when fault.Leadership == Leadership.Moves => "the leader has not changed",
        _ => null,
    };

    private static async Task<bool> HasMovedAsync(TestCluster cluster, TestNode leader)
    {
        try
        {
            return await cluster.LeaderNameAsync() is { } name && name != leader.Name;
        }
        catch (Exception silent) when (silent is HttpRequestException or TaskCanceledException)
        {
            return false;   // etcd is away
        }
    }

    /// <summary>Keeps the logs beside the report, for those who look for the reason.</summary>
    private static void Keep(TestCluster cluster, DrillResult result)
    {
        if (DrillReport.Path is not { } report)
        {
            return;
        }
        var name = result.Fault.Replace(' ', '-').Replace('/', '-');
        var folder = $"{report}-{name}-{result.Mode}-{Stopwatch.GetTimestamp()}";
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "failure.txt"), result.Failure);
        foreach (var node in cluster.Nodes)
        {
            var servers = Path.Combine(node.DataDirectory, "log");
            string[] logs = [node.LogFile, .. Directory.Exists(servers) ? Directory.EnumerateFiles(servers) : []];
            foreach (var log in logs.Where(File.Exists))
            {
                File.Copy(log, Path.Combine(folder, $"{node.Name}-{Path.GetFileName(log)}"));
            }
        }
    }
}
