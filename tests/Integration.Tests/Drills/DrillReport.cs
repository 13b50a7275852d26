using System.Globalization;
using Routing.TestKit;

namespace Routing.Integration.Tests.Drills;

/// <summary>
/// The table of all drills with clients, for the file that ROUTING_DRILLS_REPORT names; nothing is written without it.
/// </summary>
internal static class DrillReport
{
    private static readonly Lock s_gate = new();
    private static readonly List<string> s_rows = [];

    private static string? Path =>
        Environment.GetEnvironmentVariable("ROUTING_DRILLS_REPORT") is { Length: > 0 } path ? path : null;

    /// <summary>Adds what came of a drill, and writes the table anew.</summary>
    public static void Add(DrillOutcome outcome)
    {
        foreach (var (client, pauses) in outcome.Clients)
        {
            var sorted = pauses.Order().ToList();
            Add(string.Create(
                CultureInfo.InvariantCulture,
                $"| {client.Name} | {pauses.Count} | {client.Acknowledged} | 0 | {MedianOf(sorted):0} | {sorted[^1]:0} "
                + $"| {outcome.Moved} | {NotMoved(outcome)} |"));
        }
    }

    /// <summary>Adds a client that was not there, or one that has failed.</summary>
    public static void Add(DrillClient client, string instead) => Add($"| {client.Name} | {instead} | | | | | | |");

    /// <summary>The middle of values in order.</summary>
    public static double MedianOf(IReadOnlyList<double> sorted) =>
        (sorted[(sorted.Count - 1) / 2] + sorted[sorted.Count / 2]) / 2;

    private static string NotMoved(DrillOutcome outcome) => outcome.NotMoved.Count == 0
        ? "none"
        : string.Join(", ", outcome.NotMoved.Select(one => $"{one.Count} {one.Reason}"));

    private static void Add(string row)
    {
        lock (s_gate)
        {
            s_rows.Add(row);
            if (Path is not { } path)
            {
                return;
            }
            File.WriteAllLines(path,
            [
                "# Planned switchovers in a row, seen by clients", "",
                $"- Date: {TimeProvider.System.GetUtcNow():yyyy-MM-dd}",
                $"- Machine: {Environment.ProcessorCount} processors; three nodes, etcd, proxy and clients share them",
                $"- Load now (1 min): {File.ReadAllText("/proc/loadavg").Split(' ')[0]}",
                $"- PostgreSQL {PostgresUnderTest.Major}, fsync off; programs "
                    + (Programs.AreNative ? "native" : "just-in-time compiled"),
                "",
                "Each client writes (or asks) without a rest, alone with the cluster. Its pause in a switchover is the",
                "longest time between two answers of one of its connections or workers. All rows that were",
                "acknowledged are there once. The sessions moved and not moved are those of all switchovers together,",
                "by the proxy's metrics; `client_gone` are those whose client left meanwhile.", "",
                "| client | switchovers | rows or transactions | errors | median pause, ms | longest pause, ms |"
                    + " sessions moved | not moved |",
                "|---|---|---|---|---|---|---|---|",
                .. s_rows,
            ]);
        }
    }
}
