using Routing.Cluster.Text;
using Routing.Ha.Synchronous;

namespace Routing.Ha;

public static partial class HaLoop
{
    /// <summary>
    /// An operator asks this member for something. Null: nothing is asked, or its time has not come yet.
    /// </summary>
    private static Decision? DecideOrder(Observation o) => o.Order switch
    {
        // A primary without the key takes it or stops, before all else.
        _ when o.Local.AcceptsWrites && !o.Leads && !o.FailsafeHolds && !o.Paused => null,

        RestartOrder restart => DecideRestart(o, restart),
        ReinitializeOrder reinitialize => DecideReinitialize(o, reinitialize),
        _ => null,
    };

    /// <summary>
    /// A restart in place: a leader keeps the leader key, and a synchronous standby leaves the synchronous set first.
    /// </summary>
    private static Decision? DecideRestart(Observation o, RestartOrder order)
    {
        if (WhyBusy(o) is { } busy)
        {
            return Refuse(o, order, OrderRefusal.Busy, busy);
        }
        if (o.Lease.IsUncertain)
        {
            return null;   // whether it leads is known with the next answer of the DCS
        }
        if (order.Filter.Objection(Published.Role(o), o.Local.ServerVersion,
            !o.Local.PendingRestart.IsEmpty) is { } objection)
        {
            return Refuse(o, order, OrderRefusal.ConditionsNotMet, objection);
        }
        if (o.Local.Server == ServerState.Starting)
        {
            return Refuse(o, order, OrderRefusal.StillStarting, "PostgreSQL is still starting");
        }
        var asPrimary = o.Local.HasProcess ? o.Local.IsPrimary || o.Local.PromotionAsked : !o.Local.HasRecoverySignal;
        if (WhyNoRestart(o, asPrimary) is { } problem)
        {
            return Refuse(o, order, OrderRefusal.Failed, problem);
        }
        // A primary that was demoted has given its leadership up: it starts as a standby, and may be elected again.
        asPrimary &= o.Local.HasProcess || !o.Memory.Demoted;
        if (asPrimary && !o.Paused
            && (!o.Leads || o.IsStandbyCluster || o.Lease.Term.Life < o.Cluster!.Life.Number
                || o.Options.WatchdogProblem is not null))
        {
            // it is about to be demoted, or to put its key right: as what it restarts is known after that
            return null;
        }
        if (!asPrimary && StillLeaves(o, "restarts") is { } leaving)
        {
            return leaving;
        }
        var leads = asPrimary && o.Lease.HoldsLeader;
        var upstream = o.Leader is { } leader && leader != o.Self
            ? UpstreamOf(o, leader) ?? o.Local.Following
            : o.Local.Following;
        return new Decision("restarts", $"restarts PostgreSQL by request{(leads ? " and keeps the leader key" : "")}",
            [new HaAction.Restart(order, asPrimary, asPrimary ? null : upstream, LimitOf(o, order))],
            o.Memory with { DownSince = leads ? o.Now : null, StartLimit = order.Timeout, RestartFailed = false },
            null);
    }

    /// <summary>What keeps this member from carrying an order out; null: nothing does.</summary>
    private static string? WhyBusy(Observation o) =>
        o.Job is { } job ? Name(job.Kind)
        : o.Memory.WonInitialize || o.Memory.BootstrapDone || o.Memory.BootstrapFailure is not null
            ? Name(JobKind.Bootstrap)
        : o.Local.Damage == DataDamage.Restored
            || (o.Cluster?.Restore is { BarsOthers: true } restore && restore.Member == o.Self)
            ? Name(JobKind.Restore)
        : null;

    /// <summary>Why a restart would fail, or do harm; null when it would not.</summary>
    private static string? WhyNoRestart(Observation o, bool asPrimary)
    {
        if (o.Local.Data != DataDirectory.Ready || o.Local.Control is not { } control)
        {
            return o.Local.Data == DataDirectory.Empty
                ? "the data directory is empty"
                : o.Local.DataProblem ?? "pg_control cannot be read";
        }
        if (o.Cluster!.Initialize.SystemId is { } systemId && systemId != control.SystemId)
        {
            return "the data belong to another cluster";
        }
        if (o.Local.Damage != DataDamage.None)
        {
            return WhyDamaged(o);
        }
        if (o.Local.HasProcess)
        {
            return asPrimary && !o.Paused && !o.IsDcsLive
                ? "the DCS is not accessible, and a leader that restarts needs it"
                : null;
        }
        if (!o.Paused)
        {
            return "PostgreSQL is down, and this member does what it can to start it";
        }
        if (WhyDamaged(o) is { } damage)
        {
            return damage;
        }
        return asPrimary && o.Leader is { } leader && leader != o.Self
            ? $"it was a primary, and {leader} holds the leader key: it joins {leader} when the cluster is resumed"
            : null;
    }

    /// <summary>
    /// A leader that may not wait for its start at all (0) gets the time of an ordinary start, and then another member
    /// takes over.
    /// </summary>
    private static TimeSpan? LimitOf(Observation o, RestartOrder order) =>
        order.Timeout ?? (o.Config.PrimaryStartTimeout > TimeSpan.Zero ? o.Config.PrimaryStartTimeout : null);

    /// <summary>
    /// A synchronous standby that is about to stop asks to leave the set, so that no commit waits for it; null: it may
    /// stop.
    /// </summary>
    private static Decision? StillLeaves(Observation o, string verb)
    {
        if (!o.Local.IsStandby || !IsSyncActive(o) || o.Leader is null || !o.IsDcsLive)
        {
            return null;
        }
        var since = o.Memory.LeavingSince ?? o.Now;
        var leave = LeaveSet.Decide(o.Self, o.Cluster!.Sync, o.Now - since, o.Timing);
        return leave.MayStop
            ? null
            : new Decision("leaves_sync", $"{verb}: {leave.Reason}", [], o.Memory with { LeavingSince = since },
                leave.Left);
    }

    /// <summary>A restart that was planned is due, or has lost its purpose.</summary>
    private static Decision? DecideSchedule(Observation o)
    {
        if (o.ScheduledRestart is not { } planned || o.Paused || o.Order is not null
            || o.Local.Server != ServerState.Running)
        {
            return null;
        }
        if (planned.PostmasterStartTime is { } meant && o.Local.PostmasterStart is { } start
            && PostgresTime.Format(start) != meant)
        {
            return Drop($"PostgreSQL was started again at {PostgresTime.Format(start)}");
        }
        var late = o.Clock - planned.Schedule;
        if (late < TimeSpan.Zero)
        {
            return null;
        }
        return late > o.Timing.LoopWait * 1.5
            ? Drop("its time is past")
            : Act(o, "restart_due", "is due to restart", TimeSpan.Zero, new HaAction.OrderScheduledRestart());

        Decision Drop(string why) => Act(
            o, "restart_dropped", $"drops its scheduled restart: {why}", s_soon, new HaAction.DropScheduledRestart());
    }

    /// <summary>The next run comes at the planned time at the latest.</summary>
    private static Decision NotBeyondSchedule(Observation o, Decision decision)
    {
        var left = o.ScheduledRestart is { } planned && !o.Paused ? planned.Schedule - o.Clock : TimeSpan.Zero;
        return left > TimeSpan.Zero && left <= o.Timing.LoopWait && !(decision.WakeIn < left)
            ? decision with { WakeIn = left }
            : decision;
    }

    private static Decision Refuse(Observation o, Order order, OrderRefusal refusal, string detail) =>
        Act(o, "order_refused", $"does not carry out what was asked: {detail}", TimeSpan.Zero,
            RefusalOf(order, refusal, detail));

    private static HaAction.RefuseOrder RefusalOf(Order order, OrderRefusal refusal, string detail) =>
        new(order.Id, refusal, detail);
}
