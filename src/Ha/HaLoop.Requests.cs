using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha;

public static partial class HaLoop
{
    /// <summary>
    /// How long a request waits for a member that was started a moment ago and has not read its WAL yet.
    /// </summary>
    private static readonly TimeSpan s_settling = TimeSpan.FromSeconds(5);

    /// <summary>A request asks the leader to step down. Null: nothing to do about it now.</summary>
    private static Decision? DecideRequest(Observation o, FailoverRequest request)
    {
        var clear = new HaAction.ClearFailover(request.ModRevision);
        if (o.Cluster!.Life.From > 0 && !o.Cluster.Life.HasWritten(request.ModRevision))
        {
            return Act(o, "request_refused",
                $"drops the request for a {request.Kind}: it came back with a restored DCS", s_soon, clear);
        }
        if (request.Leader is { } leader && leader != o.Self)
        {
            return Act(o, "request_refused", $"drops the request for a {request.Kind}: it names {leader} as the leader",
                s_soon, clear);
        }
        if (request.Candidate == o.Self)
        {
            return Act(o, "request_refused", $"drops the request for a {request.Kind} to itself", s_soon, clear);
        }
        if (request.ScheduledAt is { } at)
        {
            if (o.Paused)
            {
                return null;
            }
            var left = at - o.Clock;
            if (left > TimeSpan.Zero)
            {
                return null;
            }
            if (-left > o.Timing.LoopWait * 1.5 && o.Memory.Switchover is null)
            {
                return Act(o, "request_refused", "drops a scheduled switchover whose time is past", s_soon, clear);
            }
        }
        if (o.Paused && request.Candidate is null)
        {
            return Act(o, "request_refused", "drops the request: a paused cluster switches only to a named candidate",
                s_soon, clear);
        }
        if (ConsentsLeft(o) > TimeSpan.Zero)
        {
            return null;   // the others elect no leader until their consents have ended
        }
        var possible = CanHandOver(o, request.Candidate, isFailover: !request.IsSwitchover, required: null,
            isSwitchover: request.IsSwitchover, site: request.Site);
        if (possible.AskFirst is { } ask)
        {
            return ask;
        }
        if (possible.AskAgain is { } again && SinceDue(o, request) < s_settling)
        {
            return again;
        }
        if (possible.Ok && BeforeHandOver(o, request, possible) is { } before)
        {
            return before;
        }
        if (possible.Ok && !o.Local.IsPrimary)
        {
            // A standby leader has nothing to finish: what it lacks or has, its successor gets from the same source.
            return new Decision("steps_down", $"gives the leader key up by request: {possible.Detail}",
                [new HaAction.ReleaseLeader(null)], o.Memory with { SteppedDownAt = o.Now }, s_second);
        }
        return possible.Ok
            ? new Decision("steps_down", $"steps down by request: {possible.Detail}",
                [new HaAction.Demote(DemoteMode.Graceful, request.Candidate, request.Site)],
                o.Memory with { Demoted = true }, null)
            : o.Memory.Switchover?.Intent is { } intent
            ? CallOff(o, request, intent, "request_refused", possible.Detail)
            : Act(o, "request_refused", $"drops the request for a {request.Kind}: {possible.Detail}", s_soon, clear);
    }

    /// <summary>
    /// How long the members' consents of failsafe mode may last: what was asked for in vain may have been given, too.
    /// </summary>
    private static TimeSpan ConsentsLeft(Observation o) =>
        o.Failsafe.LastAskedAt is { } at ? o.Timing.Ttl + s_second - (o.Now - at) : TimeSpan.Zero;

    /// <summary>
    /// The decision of a leader that has a switchover to make soon: it goes on with its work, and looks again in time.
    /// </summary>
    private static Decision NotBeyondSwitchover(Observation o, Decision decision)
    {
        if (o.Cluster!.Failover is not { } request || (o.Paused && request.ScheduledAt is not null))
        {
            return decision;
        }
        var consents = ConsentsLeft(o);
        var left = Longest(consents, request.ScheduledAt - o.Clock ?? TimeSpan.Zero);
        if (left <= TimeSpan.Zero || (left > o.Timing.LoopWait && left != consents))
        {
            return decision;
        }
        var wakeIn = decision.WakeIn < left ? decision.WakeIn : left;
        return decision.Code == "leads"
            ? new Decision("switchover_soon", $"is the leader; a {request.Kind} is due in {left.TotalSeconds:F0} s"
                + (left == consents ? ", when the members' consents in failsafe mode have ended" : ""), [],
                decision.Memory, wakeIn)
            : decision with { WakeIn = wakeIn };
    }

    /// <summary>Since when the request waits to be carried out.</summary>
    private static TimeSpan SinceDue(Observation o, FailoverRequest request)
    {
        var seen = o.Now - (o.Memory.Request?.SeenAt ?? o.Now);
        return request.ScheduledAt is { } at && o.Clock - at < seen ? o.Clock - at : seen;
    }

    /// <param name="Ok">Another member could lead.</param>
    /// <param name="Detail">The name of that member, or why no member could lead.</param>
    /// <param name="AskFirst">The decision to ask the members first; null when they have answered.</param>
    private readonly record struct HandOver(bool Ok, string Detail, Decision? AskFirst)
    {
        /// <summary>
        /// No member could lead now, and this is the decision to ask one again that may in a moment; null when there is
        /// none.
        /// </summary>
        public Decision? AskAgain { get; init; }

        /// <summary>Asks them anew; null: there is none to ask.</summary>
        public HaAction? Ask { get; init; }
    }

    /// <summary>Whether another member could lead, by its own answer.</summary>
    /// <param name="o">What is known.</param>
    /// <param name="candidate">Only this one; null: any.</param>
    /// <param name="isFailover">A failover may go to an asynchronous member, if it is named.</param>
    /// <param name="required">
    /// WAL that the new leader must have; null: no more than the allowed lag behind ours.
    /// </param>
    /// <param name="isSwitchover">Planned: it has to stream from here, so that nothing is lost.</param>
    /// <param name="site">Only the members that stand there; null: any.</param>
    private static HandOver CanHandOver(
        Observation o, string? candidate, bool isFailover, Lsn? required, bool isSwitchover = false,
        string? site = null)
    {
        var cluster = o.Cluster!;
        var needSync = IsSyncActive(o) && !(isFailover && candidate is not null);
        ImmutableArray<string> names =
        [
            .. cluster.Members.Values
                .Where(m => m.Name != o.Self && m.ApiUrl is not null && !m.Tags.NoFailover)
                .Where(m => candidate is null || m.Name == candidate)
                .Where(m => site is null || m.Site == site)
                .Where(m => !needSync || cluster.Sync.Standbys.Contains(m.Name))
                .Select(m => m.Name),
        ];
        if (names.IsEmpty)
        {
            return new HandOver(false, candidate is null
                ? $"there is no other member{(site is null ? "" : $" in the site {site}")} that may lead"
                : $"{candidate} is not a member that may lead{(needSync ? " (synchronous mode)" : "")}", null);
        }
        var ask = new HaAction.ProbePeers([.. names.Select(name => cluster.Members[name])]);
        if (!AreFresh(o, names, o.Memory.Request?.SeenAt ?? TimeSpan.Zero))
        {
            return new HandOver(
                false, "", Act(o, "asks_peers", "asks the members that could take over", TimeSpan.Zero, ask));
        }
        // Down or starting, this server knows no more than its last checkpoint: what was published last counts then.
        var end = required ?? (o.Local.Server == ServerState.Running
            ? o.Local.WalPosition
            : Lsn.Max(o.Local.WalPosition, o.Memory.Published.Highest));
        var problems = new List<string>();
        var good = new List<string>();
        foreach (var name in names)
        {
            var report = o.Peers!.Reports[name];
            // What it confirmed to our own WAL sender may be newer than what it tells.
            var row = o.Local.Standbys.FirstOrDefault(
                r => string.Equals(r.ApplicationName, name, StringComparison.OrdinalIgnoreCase));
            var lag = end.BytesAheadOf(Lsn.Max(report.Position, row?.FlushLsn ?? Lsn.Zero));
            var problem = CannotLead(o, name) ?? (report switch
            {
                _ when IsWalUnread(report) && row is null => $"{name} does not know yet where its WAL ends",
                _ when lag > (required is null ? (ulong)Math.Max(0, o.Config.MaximumLagOnFailoverBytes) : 0) =>
                    $"{name} lacks {lag} bytes of WAL",
                _ when isSwitchover && row is null && cluster.Members[name].Tags.ReplicateFrom is null =>
                    $"{name} does not stream from this member",
                _ when o.Config.CheckTimeline && report.Timeline < ClusterTimeline(o) =>
                    $"{name} is on timeline {report.Timeline}",
                _ => null,
            });
            (problem is null ? good : problems).Add(problem ?? name);
        }
        if (good.Count > 0 && candidate is null && IsSyncActive(o) && o.Config.SynchronousMode == SynchronousMode.Quorum
            && good.Count - 1 < cluster.Sync.Quorum)
        {
            problems.Add($"only {good.Count} voters answer, {cluster.Sync.Quorum + 1} are needed");
            good.Clear();
        }
        return good.Count > 0
            ? new HandOver(true, $"{string.Join(", ", good)} can take over", null) { Ask = ask }
            : new HandOver(false, string.Join("; ", problems), null)
            {
                AskAgain = names.FirstOrDefault(name => IsWalUnread(o.Peers!.Reports[name])) is { } unread
                    ? Act(o, "asks_peers", $"asks again: {unread} does not know yet where its WAL ends",
                        TimeSpan.FromMilliseconds(100), ask)
                    : null,
            };
    }

    /// <summary>The agent was told to end.</summary>
    private static Decision DecideShutdown(Observation o)
    {
        if (o.Job is { Kind: JobKind.Demote })
        {
            return Wait(o, "stops", $"ends: {o.Job.Progress}", s_second);
        }
        if (o.Job is { } job)
        {
            return Act(o, "stops", $"ends: cancels {Name(job.Kind)}", s_soon, new HaAction.CancelJob());
        }
        if (o.Paused)
        {
            return Release(o) ?? Act(o, "stops", "ends and leaves PostgreSQL running: the cluster is paused", null,
                new HaAction.Exit(0));
        }
        if (o.Memory.WonInitialize && !o.Memory.BootstrapDone)
        {
            return o.Ended?.Kind == JobKind.AbandonBootstrap
                ? Act(o, "stops", "ends", null, new HaAction.Exit(1))
                : Act(o, "stops", "ends and puts the unfinished bootstrap aside", null,
                    new HaAction.AbandonBootstrap());
        }
        if (StillLeaves(o, "ends") is { } leaving)
        {
            return leaving;
        }
        if (o.Local.HasProcess)
        {
            return Act(o, "stops", "ends and stops PostgreSQL", null, new HaAction.Demote(DemoteMode.Shutdown));
        }
        if (o.Lease.HoldsLeader)
        {
            return Act(o, "stops", "ends: gives the leader key up", s_soon, new HaAction.ReleaseLeader(null));
        }
        return Release(o) ?? Act(o, "stops", "ends", null, new HaAction.Exit(0));
    }

    /// <summary>
    /// A leader key that was given up without an answer would keep the others waiting for its lease: the agent does not
    /// end before it is known to be gone, for at most <c>retry_timeout</c>. Null: it may end.
    /// </summary>
    private static Decision? Release(Observation o)
    {
        var since = o.Memory.ReleasingSince ?? o.Now;
        return o.Lease.ReleaseLeft <= TimeSpan.Zero || o.Now - since >= o.Timing.RetryTimeout
            ? null
            : new Decision("stops", "ends: waits until the DCS has deleted the leader key", [],
                o.Memory with { ReleasingSince = since }, s_second);
    }
}
