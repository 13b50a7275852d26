using Routing.Cluster;

namespace Routing.Ha;

public static partial class HaLoop
{
    /// <summary>How long a member that stepped down stays out of the race, so that another one can win it.</summary>
    private static readonly TimeSpan s_courtesy = TimeSpan.FromSeconds(3);

    /// <summary>PostgreSQL does not run, and its directory is ready.</summary>
    private static Decision DecideStopped(Observation o)
    {
        if (o.Leader is { } other && other != o.Self && DecideReplacement(o, other) is { } replacement)
        {
            return replacement;   // in a pause too: an operator has asked for it
        }
        if (o.Paused)
        {
            return o.Leader == o.Self
                ? Act(o, "paused_stopped", "gives the leader key up: PostgreSQL is stopped, and the cluster is paused",
                    null,
                    new HaAction.ReleaseLeader(null))
                : Wait(o, "paused_stopped", "leaves PostgreSQL stopped: the cluster is paused");
        }
        if (o.Leader == o.Self)
        {
            return o.Lease.HoldsLeader
                ? DecideStoppedLeader(o with { Memory = o.Memory with { DownSince = o.Memory.DownSince ?? o.Now } })
                : Act(o, "attaching", "finds its own name in the leader key and takes it over", s_soon,
                    new HaAction.AttachLeader());
        }
        if (o.Leader is { } leader)
        {
            return DecideRejoin(o, leader);
        }
        if (DecideAgainstRemote(o) is { } repair)
        {
            return repair;
        }
        if (WhyDamaged(o) is { } damage)
        {
            return Wait(o, "damaged", $"stays down: {damage}, and there is no leader to join", s_second);
        }
        if (o.Memory.SteppedDownAt is { } at && o.Now - at < s_courtesy)
        {
            return Wait(o, "stepped_down", "has stepped down and waits for the new leader", s_courtesy - (o.Now - at));
        }
        return MustWait(o, out var left)
            ? Wait(o, "start_retry", o.Memory.StandbyStartFailure is { } failure
                ? $"waits before it starts again: {failure}"
                : $"tries to start again in {left.TotalSeconds:F0} s", left)
            : Act(o, "starts_to_race", "starts as a standby: there is no leader to follow", null,
                new HaAction.StartStandby(null));
    }

    /// <summary>The leader's PostgreSQL is down: start it in place, or let another member take over.</summary>
    private static Decision DecideStoppedLeader(Observation o)
    {
        if (o.IsStandbyCluster)
        {
            return DecideStoppedStandbyLeader(o);
        }
        if (!o.Leads)
        {
            return Wait(o, "lease_ends", "does not start PostgreSQL: its lease runs out", s_soon);
        }
        if (o.Local.Damage != DataDamage.None)
        {
            return Act(o, "releasing", $"gives the leader key up: {WhyDamaged(o)}", s_second,
                new HaAction.ReleaseLeader(null));
        }
        if (o.Options.WatchdogProblem is { } problem)
        {
            return new Decision("watchdog", $"gives the leader key up: {problem}", [new HaAction.ReleaseLeader(null)],
                o.Memory with { Demoted = true, SteppedDownAt = o.Now }, s_second);
        }
        if (o.Local.HasRecoverySignal)
        {
            return o.Memory.FailedStandbyStarts > 0
                ? Act(o, "releasing",
                    $"gives the leader key up: PostgreSQL does not start: {o.Memory.StandbyStartFailure}",
                    s_second, new HaAction.ReleaseLeader(null))
                : Act(o, "starts_to_lead", "starts as a standby, to be promoted", null,
                    new HaAction.StartStandby(LeftRemote(o)));
        }
        if (DecideBesideRemote(o) is { } held)
        {
            return held;
        }
        if (o.Local.Timeline < UsedTimeline(o))
        {
            // It took the key for a restore that is over, and another member may have led before that.
            return Act(o, "releasing",
                $"gives the leader key up: its data are on timeline {o.Local.Timeline}, the cluster is on "
                    + $"{UsedTimeline(o)}",
                s_second, new HaAction.ReleaseLeader(null));
        }
        if (o.Memory.StartFailure is { } failure)
        {
            return new Decision("releasing", $"gives the leader key up: PostgreSQL does not start: {failure}",
                [new HaAction.ReleaseLeader(null)],
                o.Memory with { StartFailure = null, Demoted = true, SteppedDownAt = o.Now,
                    RetryAt = o.Now + s_second }, s_second);
        }
        var left = o.Config.PrimaryStartTimeout - (o.Now - o.Memory.DownSince!.Value);
        if (left <= TimeSpan.Zero && !o.Memory.StaysPrimary)
        {
            var possible = CanHandOver(o, candidate: null, isFailover: true, required: null);
            if (possible.AskFirst is { } ask)
            {
                return ask;
            }
            if (possible.Ok)
            {
                return new Decision("releasing", $"gives the leader key up: PostgreSQL is down, and {possible.Detail}",
                    [new HaAction.ReleaseLeader(null)], o.Memory with { Demoted = true, SteppedDownAt = o.Now },
                    s_second);
            }
        }
        left = left > TimeSpan.Zero ? left : TimeSpan.FromSeconds(60);
        return Act(o, "restarts_primary", "starts PostgreSQL again as primary: it still holds the leader key", null,
            new HaAction.StartPrimary(left));
    }

    /// <summary>
    /// Another member leads: this one starts as its standby, after a rewind or a clone where its data need one.
    /// </summary>
    private static Decision DecideRejoin(Observation o, string leader)
    {
        if (MustWait(o, out var left))
        {
            return o.Memory.RewindProblem is { } problem
                ? Wait(o, "rewind_retry", $"tries to rewind to {leader} again: {problem}", left)
                : Wait(o, "start_retry", o.Memory.StandbyStartFailure is { } failure
                    ? $"waits before it joins {leader} again: {failure}"
                    : $"tries to join {leader} again in {left.TotalSeconds:F0} s", left);
        }
        var member = o.Cluster!.Members.GetValueOrDefault(leader);
        var wasPrimary = !o.Local.HasRecoverySignal;
        if (DecideAgainstRemote(o) is { } repair)
        {
            return repair;
        }
        if (o.IsStandbyCluster)
        {
            return DecideRejoinStandbyCluster(o, leader);
        }
        var primaryIsReady = member is { Role: Role.Primary, State: PostgresState.Running, Address: not null };
        switch (DivergenceOf(o))
        {
            case DivergenceState.Diverged when MayRewind(o):
                return primaryIsReady && !member!.CheckpointAfterPromotePending
                    ? Act(o, "rewinds", $"rewinds to {leader}: its history has diverged", null,
                        new HaAction.Rewind(leader))
                    : Wait(o, "rewind_waits", $"waits with the rewind until {leader} has written its first checkpoint",
                        s_second);
            case DivergenceState.Diverged or DivergenceState.RewindFailed:
                return DecideWithoutRewind(o, leader);
            case DivergenceState.Unchecked when primaryIsReady && DueForCheck(o):
                return Act(o, "compares", $"compares its history with that of {leader}", null,
                    new HaAction.CheckDivergence(leader));
            case DivergenceState.Unchecked when wasPrimary || o.Local.Damage != DataDamage.None:
                return Wait(o, "rejoin_waits",
                    $"{(wasPrimary ? "was a primary" : "had diverged")} and waits until {leader} can be asked for its "
                        + "history", s_second);
            default:
                var upstream = UpstreamOf(o, leader);
                return upstream is null
                    ? Wait(o, "rejoin_waits", $"waits for the address of {leader}", s_second)
                    : Act(o, "starts_standby", $"starts as a standby of {leader}", null,
                        new HaAction.StartStandby(upstream));
        }
    }

    private static Decision DecideWithoutRewind(Observation o, string leader)
    {
        var failed = o.Memory.Divergence == DivergenceState.RewindFailed;
        if (IsRestored(o) || o.Local.MayRemoveDivergedData || (failed && o.Local.MayRemoveAfterFailedRewind))
        {
            var source = CloneSource(o, leader);
            return source is null
                ? Wait(o, "clone_waits", $"waits until {leader} can be copied", s_second)
                : Act(o, "clones", $"replaces its diverged data by a copy of {source}", null,
                    new HaAction.CopyMember(source) { FromLeader = IsRestored(o) });
        }
        if (!failed)
        {
            return Wait(o, "diverged",
                $"stays down: {WhyDamaged(o)}, and it may neither rewind (use_pg_rewind) nor remove its data "
                + "(remove_data_directory_on_diverged_timelines): reinitialize it");
        }
        var left = s_rewindAgain - (o.Now - (o.Memory.RewindFailedAt ?? TimeSpan.Zero));
        return left > TimeSpan.Zero || !o.Local.RewindPossible
            ? Wait(
                o, "rewind_failed",
                $"stays down: the rewind failed {o.Memory.RewindFailures} times ({o.Memory.RewindProblem}), and its "
                    + "data "
                + "may not be removed (remove_data_directory_on_rewind_failure): reinitialize it, or it tries again "
                + "from time to time",
                left > TimeSpan.Zero ? left : null)
            : Act(o, "rewinds", $"rewinds to {leader} once more", null,
                new HaAction.Rewind(o.IsStandbyCluster && HasRemote(o) ? null : leader));
    }

    private static bool DueForCheck(Observation o) =>
        o.Memory.DivergenceCheckedAt is not { } at || o.Now - at >= s_second;

    /// <summary>PostgreSQL is starting.</summary>
    private static Decision DecideStarting(Observation o)
    {
        if (o.Paused || o.Leader != o.Self)
        {
            return Wait(o, "starting", "waits until PostgreSQL has started", s_second);
        }
        if (!o.Lease.HoldsLeader)
        {
            return Act(o, "attaching", "finds its own name in the leader key and takes it over", s_soon,
                new HaAction.AttachLeader());
        }
        var since = o.Memory.DownSince ?? o.Now;
        var left = (o.Memory.StartLimit ?? o.Config.PrimaryStartTimeout) - (o.Now - since);
        var waiting = o with { Memory = o.Memory with { DownSince = since } };
        if (left > TimeSpan.Zero)
        {
            return Wait(waiting, "starting",
                $"waits until PostgreSQL has started; {left.TotalSeconds:F0} s until another member may take over",
                s_second);
        }
        var possible = CanHandOver(waiting, candidate: null, isFailover: true, required: null);
        return possible.AskFirst ?? (possible.Ok
            ? Act(waiting, "start_timeout", $"demotes itself: PostgreSQL did not start in time, and {possible.Detail}",
                s_soon,
                new HaAction.Demote(DemoteMode.Immediate))
            : Wait(waiting, "starting", $"waits until PostgreSQL has started: {possible.Detail}", s_second));
    }
}
