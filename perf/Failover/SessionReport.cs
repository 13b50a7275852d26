using System.Globalization;
using System.Text;

namespace Routing.Failover;

/// <summary>The table of the scenario of sessions, as Markdown.</summary>
internal static class SessionReport
{
    public static void Append(StringBuilder text, IReadOnlyList<SessionRun> runs)
    {
        text.Append("""

            ## Sessions

            Eight writers, each with one connection and a row every 2 ms or so, and sessions at rest: 40 clean ones (nothing
            since their login), 10 with a setting and a prepared statement, 4 with a temporary table. A pause is the longest
            time between two acknowledged writes of one writer; longest and median are over the writers of all runs. Errors
            are failed statements of writers, by run: median (most). Missing are acknowledged writes that the new primary
            lacks. A session lives on when its connection does and all that it held is there afterwards.

            Around PgBouncer a script says PAUSE, waits for 2 s at most (in session mode it would wait until all clients have
            left), switches over by REST, gives PgBouncer the new primary's address, and says RESUME. In transaction mode
            sessions hold nothing, so that the clean ones alone are there. A crash can't be scripted around. All log in
            without a password (`trust`).

            | event | who | ttl/loop/retry, s | runs | errors | missing, sum | longest pause, s | median pause, s | clean sessions that live on | with state | with a temporary table | moved, by the proxy | cut, and why |
            |---|---|---|---|---|---|---|---|---|---|---|---|---|

            """);
        foreach (var group in runs.GroupBy(run => (run.Event, run.Front, run.Contender))
            .OrderBy(group => Event.All.ToList().IndexOf(group.Key.Event))
            .ThenBy(group => FrontKind.All.ToList().IndexOf(group.Key.Front))
            .ThenBy(group => group.Key.Contender.Setting))
        {
            var (what, front, contender) = group.Key;
            double[] errors = [.. group.Select(run => (double)run.Errors).Order()];
            double[] pauses = [.. group.SelectMany(run => run.Pauses).Select(pause => pause.TotalSeconds).Order()];
            var cells = SessionGroup.All.Select(kind => group.First().Alive.ContainsKey(kind)
                ? $"{group.Sum(run => run.Alive[kind])} of {kind.Count * group.Count()}"
                : "–");
            var moved = group.Sum(run => run.Counts.GetValueOrDefault("moved"));
            text.AppendLine(string.Create(CultureInfo.InvariantCulture,
                $"| {what.Title} | {front.Title} | {contender.Times} | {group.Count()} | "
                    + $"{Report.Median(errors):0} ({errors[^1]:0}) | {group.Sum(run => run.Missing)} | "
                    + $"{pauses[^1]:0.00} | {Report.Median(pauses):0.00} | {string.Join(" | ", cells)} | "
                    + $"{(front.IsOurs ? moved : "–")} | {Reasons(group)} |"));
        }
    }

    // By the proxy's own counters; without a proxy of ours, by what the sessions at rest were told.
    private static string Reasons(IEnumerable<SessionRun> runs)
    {
        var reasons = runs.SelectMany(run => run.Front.IsOurs
                ? run.Counts.Where(one => one.Key != "moved").Select(one => (one.Key, one.Value))
                : run.Words.Select(word => (word, 1L)))
            .GroupBy(one => one.Item1).Select(one => $"{one.Sum(part => part.Item2)} {one.Key}").ToList();
        return reasons.Count == 0 ? "none" : string.Join(", ", reasons);
    }
}
