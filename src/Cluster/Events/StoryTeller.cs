using System.Collections.Immutable;

namespace Routing.Cluster.Events;

/// <summary>Makes the story of the last change of leader out of the events of one or more members.</summary>
/// <remarks>
/// Members have clocks of their own. What the new leader tells itself is taken before what others tell, so that most
/// phases come from one clock. Of a member whose events are missing, the others' events tell what they saw.
/// </remarks>
public static class StoryTeller
{
    /// <summary>A sign that is older than this did not begin the change.</summary>
    private static readonly TimeSpan s_longestPrelude = TimeSpan.FromMinutes(30);

    /// <summary>Decisions of a leader for which nothing has to be wrong.</summary>
    private static readonly ImmutableHashSet<string> s_quiet =
    [
        "leads", "checkpoints", "repairs_keys", "writes_history", "synchronous", "synchronous_waits",
        "switchover_soon", "order_refused", "request_refused", "promotes", "prepares_promotion", "restart_due",
        "restart_dropped", "attaching", "initialized", "prepares_switchover", "announces_switchover", "awaits_quiet",
        "switchover_called_off",
    ];

    /// <summary>They say that a job runs, and nothing of why.</summary>
    private static readonly ImmutableHashSet<string> s_silent = ["busy", "job_cancelled"];

    private static readonly ImmutableHashSet<string> s_elections = ["races", "reacquires", "attaching", "initializes"];

    /// <summary>The last change of leader, also one that has no new leader yet; null when none is known.</summary>
    /// <param name="events">The events of the members, in any order.</param>
    public static FailoverStory? Last(IEnumerable<ClusterEvent> events)
    {
        var all = events.OrderBy(item => item.Time).ThenBy(item => item.Member, StringComparer.Ordinal)
            .ThenBy(item => item.Id).ToList();
        // Each member tells of a new leader when it sees it; the first one counts.
        var changes = all.Where(item => item is { Kind: EventKind.Leader, Code: "leader_changed" })
            .GroupBy(item => (item.Term, Leader: item.Figure("leader"))).Select(group => group.First()).ToList();
        var elected = changes.Count > 0 ? changes[^1] : null;
        var gone = all.LastOrDefault(item => item is { Kind: EventKind.Leader, Code: "leader_gone" });
        if (gone is not null && (elected is null || (gone.Time > elected.Time
            && !changes.Any(change => change.Figure("leader") != gone.Figure("was") && change.Time > gone.Time)
            && gone.Figure("was") == elected.Figure("leader"))))
        {
            return new Telling(all, elected?.Time ?? DateTimeOffset.MinValue, null, gone).Tell();
        }
        if (elected is null)
        {
            return null;
        }
        var before = changes.Count > 1 ? changes[^2] : null;
        return new Telling(all, before?.Time ?? DateTimeOffset.MinValue, elected, null)
        {
            LeaderBefore = before?.Figure("leader"),
        }.Tell();
    }

    /// <summary>The telling of one story.</summary>
    /// <param name="all">All events, by time.</param>
    /// <param name="since">When the leader before was elected.</param>
    /// <param name="changed">The event of the new leader; null while there is none.</param>
    /// <param name="goneLast">While there is no new leader: the event that says so.</param>
    private sealed class Telling(
        List<ClusterEvent> all, DateTimeOffset since, ClusterEvent? changed, ClusterEvent? goneLast)
    {
        private readonly string? _to = changed?.Figure("leader");

        public string? LeaderBefore { get; init; }

        public FailoverStory Tell()
        {
            var own = all.Where(item => item.Member == _to).ToList();
            var elected = changed is null
                ? null
                : own.FirstOrDefault(item => item is { Kind: EventKind.Lease, Code: "lease_won" }
                    && item.Term == changed.Term) ?? changed;
            var end = elected?.Time ?? DateTimeOffset.MaxValue;
            var free = goneLast ?? Free(own, end) ?? Free(all, end);
            var from = free?.Figure("was") ?? changed?.Figure("was") ?? LeaderBefore;
            var cause = Cause(from, free?.Time ?? end);
            var rule = own.LastOrDefault(item => item.Kind == EventKind.Reason && s_elections.Contains(item.Code)
                && item.Time > since && item.Time <= end);
            var promoted = elected is null ? null : Promoted(own, elected, rule);
            var write = own.FirstOrDefault(item => item.Kind == EventKind.Write && item.Term == elected?.Term);
            return new FailoverStory
            {
                Kind = cause is { Kind: EventKind.Request, Code: "switchover_requested" } ? "switchover"
                    : from is null ? "start" : "failover",
                From = from,
                To = _to,
                Term = changed?.Term ?? 0,
                Timeline = write?.Timeline ?? promoted?.Timeline ?? 0,
                Cause = cause,
                Rule = rule,
                Race = own.LastOrDefault(item =>
                    item.Kind == EventKind.Race && item.Time > since && item.Time <= end
                    && (free is null || item.Time >= free.Time)),
                Phases = Phases(cause ?? free ?? elected, free ?? elected, elected, promoted, write),
            };
        }

        private ClusterEvent? Free(List<ClusterEvent> among, DateTimeOffset end) => among.LastOrDefault(item =>
            item is { Kind: EventKind.Leader, Code: "leader_gone" } && item.Time > since && item.Time <= end);

        private ClusterEvent? Promoted(List<ClusterEvent> own, ClusterEvent elected, ClusterEvent? rule) =>
            own.FirstOrDefault(item => item.Time >= elected.Time && item is
            {
                Kind: EventKind.Job, Code: "promote_done" or "start_primary_done" or "bootstrap_done"
            })
            ?? (rule?.Code is "reacquires" or "attaching" or "initializes" ? elected : null)
            ?? own.FirstOrDefault(item => item.Time >= elected.Time
                && item is { Kind: EventKind.Role, Code: "primary" })
            ?? all.FirstOrDefault(item => item is { Kind: EventKind.Leader, Code: "leader_primary" }
                && item.Term == elected.Term && item.Figure("leader") == _to);

        /// <summary>
        /// The first sign that the leader before was about to go, and that has not ended before it went.
        /// </summary>
        private ClusterEvent? Cause(string? from, DateTimeOffset end)
        {
            var begin = end - since > s_longestPrelude ? end - s_longestPrelude : since;
            var before = all.Where(item => item.Time > begin && item.Time <= end).ToList();
            var request = before.LastOrDefault(item => item.Kind == EventKind.Request);
            if (request is not null && request.Code != "request_gone"
                && (request.Figure("leader") is not { } leader || leader == from))
            {
                return before.First(item => item.Kind == EventKind.Request && item.Code == request.Code
                    && item.Time >= LastBefore(before, request, "request_gone"));
            }
            return new[]
            {
                Decision(before, from),
                Open(before, from, EventKind.Server, ["server_stopped", "server_unresponsive"],
                    ["server_started", "server_answers"]),
                Open(before, null, EventKind.Server, ["stream_lost"], ["stream_begun"]),
            }
            .OfType<ClusterEvent>().OrderBy(item => item.Time).FirstOrDefault();
        }

        private static DateTimeOffset LastBefore(List<ClusterEvent> among, ClusterEvent item, string code) =>
            among.LastOrDefault(other => other.Code == code && other.Time < item.Time)?.Time
                ?? DateTimeOffset.MinValue;

        /// <summary>
        /// The earliest decision of the old leader in the row of those by which it did not simply lead.
        /// </summary>
        private static ClusterEvent? Decision(List<ClusterEvent> before, string? from)
        {
            ClusterEvent? first = null;
            foreach (var item in before)
            {
                if (item.Kind == EventKind.Reason && item.Member == from && !s_silent.Contains(item.Code))
                {
                    first = s_quiet.Contains(item.Code) ? null : first ?? item;
                }
            }
            return first;
        }

        /// <summary>The first of these events, of each member, that none of the others has ended.</summary>
        private static ClusterEvent? Open(
            List<ClusterEvent> before, string? member, string kind, string[] begins, string[] ends)
        {
            var open = new Dictionary<string, ClusterEvent>(StringComparer.Ordinal);
            foreach (var item in before.Where(item => item.Kind == kind && (member is null || item.Member == member)))
            {
                if (begins.Contains(item.Code))
                {
                    open.TryAdd(item.Member, item);
                }
                else if (ends.Contains(item.Code))
                {
                    open.Remove(item.Member);
                }
            }
            return open.Values.OrderBy(item => item.Time).FirstOrDefault();
        }

        private static ImmutableArray<StoryPhase> Phases(params ClusterEvent?[] reached)
        {
            var phases = ImmutableArray.CreateBuilder<StoryPhase>();
            DateTimeOffset? last = null;
            foreach (var (name, item) in FailoverStory.PhaseNames.Zip(reached))
            {
                if (item is null)
                {
                    phases.Add(new StoryPhase(name, null, null, null, null));
                    continue;
                }
                // Clocks differ: a phase never comes before the one that it follows.
                var time = last is { } earlier && item.Time < earlier ? earlier : item.Time;
                phases.Add(new StoryPhase(
                    name, time, last is { } then ? time - then : TimeSpan.Zero, item.Member, item.Text));
                last = time;
            }
            return phases.DrainToImmutable();
        }
    }
}
