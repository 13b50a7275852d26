using System.Globalization;
using System.Text;

namespace Routing.Failover;

/// <summary>The tables, as Markdown.</summary>
internal static class Report
{
    public static string Of(
        Setup setup, Measurement measured, IReadOnlyList<IdleCost> idle, IReadOnlyList<SessionRun> sessions)
    {
        var text = new StringBuilder();
        text.AppendLine(
            sessions.Count > 0
                ? "# What becomes of sessions"
                : "# Outage seen by a writer, and the cost of an idle agent").AppendLine();
        setup.Describe(text);
        if (measured.Outages.Count > 0)
        {
            Outages(text, measured.Outages);
        }
        if (idle.Count > 0)
        {
            Idle(text, idle);
        }
        if (sessions.Count > 0)
        {
            SessionReport.Append(text, sessions);
        }
        if (measured.Failures.Count > 0)
        {
            text.AppendLine().AppendLine("## Runs without a result").AppendLine();
            measured.Failures.ForEach(failure => text.AppendLine($"- {failure.Split('\n')[0]}"));
        }
        return text.ToString();
    }

    private static void Outages(
        StringBuilder text, List<(Event Event, Contender Contender, bool IsRouted, Outage Outage)> outages)
    {
        text.Append("""

            ## Outage

            Longest time between two acknowledged writes, from the event until the cluster is whole again: median (range).
            Errors are failed statements of the writer; missing are acknowledged writes that the new primary lacks
            (replication is asynchronous, so a killed node may take the last ones with it). The ratio is to the other
            agent's median with the setting of the same kind: the default of both, or the fastest that each allows.

            Direct: the writer tries all nodes; router: it knows one port of our proxy, or of HAProxy before the established agent.

            | event | agent | ttl/loop/retry, s | through | runs | outage, s | ratio | errors, median (most) | missing, sum |
            |---|---|---|---|---|---|---|---|---|

            """);
        foreach (var group in outages.GroupBy(run => (run.Event, run.Contender, run.IsRouted))
            .OrderBy(group => Event.All.ToList().IndexOf(group.Key.Event)).ThenBy(group => group.Key.IsRouted)
                .ThenBy(group => group.Key.Contender.Setting)
            .ThenBy(group => group.Key.Contender.Agent))
        {
            var (what, contender, isRouted) = group.Key;
            double[] pauses = [.. group.Select(run => run.Outage.Pause.TotalSeconds).Order()];
            double[] errors = [.. group.Select(run => (double)run.Outage.Errors).Order()];
            double[] peers =
            [
                .. outages.Where(
                    run => run.Event == what && run.Contender.Setting == contender.Setting && run.IsRouted == isRouted
                        && !run.Contender.IsOurs)
                    .Select(run => run.Outage.Pause.TotalSeconds).Order(),
            ];
            var ratio =
                !contender.IsOurs ? "1" : peers.Length > 0
                    ? string.Create(CultureInfo.InvariantCulture, $"{Median(pauses) / Median(peers):0.00}")
                    : "–";
            text.AppendLine(string.Create(CultureInfo.InvariantCulture,
                $"| {what.Title} | {contender.Agent} | {contender.Times} | {(isRouted ? "router" : "direct")} | "
                    + $"{pauses.Length} | {Median(pauses):0.00} ({pauses[0]:0.00}–{pauses[^1]:0.00}) | {ratio} | "
                    + $"{Median(errors):0} ({errors[^1]:0}) | {group.Sum(run => run.Outage.Missing)} |"));
        }
    }

    private static void Idle(StringBuilder text, IReadOnlyList<IdleCost> idle)
    {
        text.Append("""

            ## Idle

            Median over the nodes of that role. All nodes run on this one machine, so that proportional memory divides the
            program's pages by three; on a node of its own a program's proportional memory is nearer to the resident one.

            | agent | ttl/loop/retry, s | process | on the | resident, MiB | proportional, MiB | processor, % of a core |
            |---|---|---|---|---|---|---|

            """);
        foreach (var group in idle.GroupBy(cost => (cost.Contender, cost.Process, cost.Role))
            .OrderBy(group => group.Key.Contender.Agent)
            .ThenBy(group => group.Key.Contender.Setting).ThenBy(group => group.Key.Process)
                .ThenBy(group => group.Key.Role))
        {
            var (contender, process, role) = group.Key;
            text.AppendLine(string.Create(CultureInfo.InvariantCulture,
                $"| {contender.Agent} | {contender.Times} | {process} | {role} | "
                    + $"{MedianOf(cost => cost.ResidentKiB / 1024.0):0.0} | "
                    + $"{MedianOf(cost => cost.ProportionalKiB / 1024.0):0.0} | "
                    + $"{MedianOf(cost => cost.CoreShare * 100):0.000} |"));

            double MedianOf(Func<IdleCost, double> figure) => Median([.. group.Select(figure).Order()]);
        }
    }

    /// <summary>The middle of values in order.</summary>
    public static double Median(double[] ordered) =>
        (ordered[(ordered.Length - 1) / 2] + ordered[ordered.Length / 2]) / 2;
}
