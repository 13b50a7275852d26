using System.Globalization;
using Routing.TestKit;

namespace Routing.Faults.Tests.Drills;

/// <summary>What came of one drill.</summary>
internal sealed record DrillResult(string Fault, CommitMode Mode)
{
    /// <summary>Longest time between two acknowledged writes from the strike on.</summary>
    public TimeSpan Outage { get; set; }

    public int Acknowledged { get; set; }

    public int Lost { get; set; }

    /// <summary>How far the new history begins before the last published position, in bytes.</summary>
    public ulong Behind { get; set; }

    public TimeSpan Overlap { get; set; }

    /// <summary>From the end of the fault until one leads and the others stream.</summary>
    public TimeSpan Healing { get; set; }

    public bool HasMoved { get; set; }

    /// <summary>What was not as expected; null when all was.</summary>
    public string? Failure { get; set; }
}

/// <summary>
/// The table of all drills, for the file that ROUTING_FAULTS_REPORT names; nothing is written without it.
/// </summary>
internal sealed class DrillReport
{
    private readonly List<DrillResult> _results = [];

    public static string? Path =>
        Environment.GetEnvironmentVariable("ROUTING_FAULTS_REPORT") is { Length: > 0 } path ? path : null;

    /// <summary>Adds a result and writes the table anew.</summary>
    public void Add(DrillResult result, string network)
    {
        _results.Add(result);
        Write(network);
    }

    private void Write(string network)
    {
        if (Path is not { } path)
        {
            return;
        }
        var rows = _results.GroupBy(result => (result.Fault, result.Mode)).Select(Row);
        File.WriteAllLines(path,
        [
            $"Network: {network}. Programs: {(Programs.AreNative ? "native" : "just-in-time compiled")}.", "",
            "| fault | mode | runs | failed | outage, s | acknowledged | lost | behind the published position, bytes"
            + " | two primaries, ms | leader moved | whole again after the fault, s |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
            .. rows,
            .. _results.Where(result => result.Failure is not null)
                .Select(result => $"\nFailed: {result.Fault}, {result.Mode}: {result.Failure!.Split('\n')[0]}"),
        ]);
    }

    private static string Row(IGrouping<(string Fault, CommitMode Mode), DrillResult> group)
    {
        var runs = group.ToList();
        var judged = runs.Where(run => run.Failure is null).ToList();
        string[] cells =
        [
            group.Key.Fault,
            group.Key.Mode.ToString().ToLowerInvariant(),
            $"{runs.Count}",
            $"{runs.Count - judged.Count}",
            Spread(judged.Select(run => run.Outage.TotalSeconds)),
            $"{runs.Sum(run => run.Acknowledged)}",
            $"{runs.Sum(run => run.Lost)}",
            $"{runs.Max(run => run.Behind)}",
            $"{Math.Ceiling(runs.Sum(run => run.Overlap.TotalMilliseconds))}",
            $"{runs.Count(run => run.HasMoved)}",
            Spread(judged.Select(run => run.Healing.TotalSeconds)),
        ];
        return $"| {string.Join(" | ", cells)} |";
    }

    private static string Spread(IEnumerable<double> values)
    {
        var sorted = values.Order().ToList();
        return sorted.Count == 0
            ? "–"
            : string.Create(
                CultureInfo.InvariantCulture, $"{sorted[sorted.Count / 2]:0.00} ({sorted[0]:0.00}–{sorted[^1]:0.00})");
    }
}
