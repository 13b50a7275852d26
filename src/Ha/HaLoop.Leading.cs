using Routing.Cluster;
using Routing.Ha.Synchronous;

namespace Routing.Ha;

public static partial class HaLoop
{
    /// <summary>
    /// The least time that a promotion waits for <c>synchronous_standby_names</c>, before another member gets its turn.
    /// </summary>
    private static readonly TimeSpan s_preparation = TimeSpan.FromSeconds(5);

    /// <summary>This member holds the leader key, and PostgreSQL runs.</summary>
    private static Decision DecideLeading(Observation o)
    {
        if (!o.Lease.HoldsLeader)
        {
            return Act(o, "attaching", "finds its own name in the leader key and takes it over", s_soon,
                new HaAction.AttachLeader());
        }
        if (o.Lease.Term.Life < o.Cluster!.Life.Number && o.IsDcsLive)
        {
            // The keeper does it beside the loop; until then no other key of the new life is written.
            return Wait(o, "new_life",
                "is the leader; the DCS was set up anew or restored: puts the leader key there", s_soon);
        }
        if (o.Paused && !o.Local.IsPrimary && !o.IsStandbyCluster && o.Cluster!.Failover?.Candidate != o.Self)
        {
            return Act(o, "releasing", "gives the leader key up: it is a standby, and the cluster is paused", s_second,
                new HaAction.ReleaseLeader(null));
        }
        if (o.Options.WatchdogProblem is { } problem && !o.Paused)
        {
            return o.Local.IsPrimary || o.Local.PromotionAsked
                ? Act(o, "watchdog", $"demotes itself: {problem}", s_soon, new HaAction.Demote(DemoteMode.Immediate))
                : Act(o, "watchdog", $"gives the leader key up: {problem}", s_second, new HaAction.ReleaseLeader(null));
        }
        return !o.Local.IsPrimary
            ? o.IsStandbyCluster ? DecideStandbyLeader(o) : DecidePromotion(o)
            : DecideHealth(o) ?? WithHealth(o, NotBeyondSwitchover(o, DecideLeadingPrimary(o)));
    }

    /// <summary>This member holds the leader key and is a standby: promote.</summary>
    private static Decision DecidePromotion(Observation o)
    {
        if (o.Memory.PromotionFailure is { } failure)
        {
            return GiveUpPromotion(o, failure);
        }
        if (o.Local.Damage is not (DataDamage.None or DataDamage.Restored) && !o.Local.PromotionAsked)
        {
            return Act(o, "releasing", $"gives the leader key up: {WhyDamaged(o)}", s_second,
                new HaAction.ReleaseLeader(null));
        }
        if (!o.Leads)
        {
            return Wait(o, "lease_ends", "does not promote: its lease runs out", s_soon);
        }
        if (o.Local.Server != ServerState.Running)
        {
            return DecideSilentPromotion(o);
        }
        if (DecideBesideRemote(o) is { } held)
        {
            return held;
        }
        var memory = o.Memory;
        if (o.Memory.Sync?.Unanswered(o.Cluster!.Sync) is { } unanswered)
        {
            // It may land yet: no step is built on the key before it is known not to.
            return new Decision("prepares_promotion",
                "prepares its promotion: writes the synchronous state again: it is not known whether it was written",
                [new HaAction.WriteSync(unanswered)], memory, s_soon);
        }
        if (o.Config.SynchronousMode != SynchronousMode.Off)
        {
            var before = SyncPlanner.BeforePromotion(o.Self, o.Config, o.Cluster!.Sync);
            memory = memory with { Sync = before.Memory };
            if (before.SetStandbyNames && (before.StandbyNames ?? "") != o.Local.SynchronousStandbyNames)
            {
                var since = o.Memory.PreparingSince ?? o.Now;
                return o.Now - since >= Longest(o.Timing.LoopWait, s_preparation)
                    ? GiveUpPromotion(o,
                        $"synchronous_standby_names stays '{o.Local.SynchronousStandbyNames}' and does not become "
                        + $"'{before.StandbyNames}': something outside postgresql.conf sets it, or PostgreSQL refuses "
                        + "to reload its files")
                    : new Decision("prepares_promotion", $"prepares its promotion: {before.Reason}",
                        [new HaAction.SetSynchronousStandbys(before.StandbyNames)],
                        memory with { PreparingSince = since },
                        TimeSpan.FromMilliseconds(20));
            }
            if (before.Write is { } write && write != o.Cluster!.Sync)
            {
                return new Decision("prepares_promotion", $"prepares its promotion: {before.Reason}",
                    [new HaAction.WriteSync(write)], memory, s_soon);
            }
        }
        // Two primaries must never open the same timeline, even when the first one died before another member knew of
        // it.
        var used = Math.Max(UsedTimeline(o), o.Local.Timeline);
        var doubt = o.Cluster!.UsedTimeline > used
            ? $" (timeline {o.Cluster.UsedTimeline}, which a key names, is not believed)"
            : "";
        var promote = new Decision("promotes", $"promotes itself: it holds the leader key{doubt}",
            [new HaAction.ReserveTimeline(used + 1), new HaAction.Promote(used)],
            memory with { Promoting = true, SteppedDownAt = null, PreparingSince = null }, null);
        return o.Cluster!.Failover is { ScheduledAt: null } && !o.Paused
            ? promote.Then(new HaAction.ClearFailover(null))
            : promote;
    }

    /// <summary>
    /// This member won the race, and its server fell silent before the promotion: another member gets its turn. What
    /// this agent never saw as a standby may be a primary, and the key stays.
    /// </summary>
    private static Decision DecideSilentPromotion(Observation o)
    {
        var since = o.Memory.PreparingSince ?? o.Now;
        return o.Memory.HasRun && o.Now - since >= Longest(o.Timing.LoopWait, s_preparation)
            ? GiveUpPromotion(o, $"PostgreSQL has not answered for {(o.Now - since).TotalSeconds:F0} s")
            : new Decision("unresponsive", "does not promote: PostgreSQL does not answer", [],
                o.Memory with { PreparingSince = since }, s_soon);
    }

    /// <summary>
    /// Releases the leader key and stays out of the race for one ttl. A server that may still promote itself stops
    /// first.
    /// </summary>
    private static Decision GiveUpPromotion(Observation o, string failure)
    {
        var barred = o.Memory with
        {
            PromotionFailure = null, PreparingSince = null, BarredFromRaceUntil = o.Now + o.Timing.Ttl,
            SteppedDownAt = o.Now,
        };
        return o.Local.PromotionAsked
            ? new Decision("promotion_failed",
                $"stops PostgreSQL, which may still promote itself, and gives the leader key up: the promotion "
                    + $"failed: {failure}",
                [new HaAction.Demote(DemoteMode.Immediate)],
                barred with { Demoted = true, Promoting = false, DownSince = null }, s_second)
            : new Decision("promotion_failed", $"gives the leader key up: the promotion failed: {failure}",
                [new HaAction.ReleaseLeader(null)], barred, s_second);
    }

    /// <summary>
    /// This member holds the leader key and is the primary: requests come first, then the keys that only a leader
    /// writes.
    /// </summary>
    private static Decision DecideLeadingPrimary(Observation o)
    {
        if (o.Config.FailsafeMode && IsSilent(o))
        {
            // whatever else is owed needs the DCS: waiting for it would cost the time to ask the members
            return DecideSilence(o);
        }
        var cluster = o.Cluster!;
        if (cluster.Failover is not { } request || DecideRequest(o, request) is not { } requested)
        {
            return DecideOwed(o);
        }
        if (!IsWaiting(requested))
        {
            return requested;
        }
        // While the clients come to rest, standbys may come and go as well.
        var plan = requested.Memory.Switchover;
        var owed = DecideOwed(o);
        return owed.Actions.IsEmpty
            ? requested with { Memory = owed.Memory with { Switchover = plan } }
            : owed with { Memory = owed.Memory with { Switchover = plan }, WakeIn = requested.WakeIn };
    }

    /// <summary>What a leading primary owes when no request asks it to step down now.</summary>
    private static Decision DecideOwed(Observation o)
    {
        if ((DecideMissingKeys(o) ?? DecideLeftAnnouncement(o)) is { } missing)
        {
            return missing;
        }
        if (o.Local.Server != ServerState.Running)
        {
            return DecideUpkeep(o);
        }
        var synchronous = DecideSynchronous(o);
        if (!synchronous.Actions.IsEmpty)
        {
            return synchronous;
        }
        // While standbys are waited for, everything else goes on.
        var upkeep = DecideUpkeep(o with { Memory = synchronous.Memory });
        return upkeep.Actions.IsEmpty && synchronous.WakeIn is not null && upkeep.Code == "leads"
            ? synchronous with { Memory = upkeep.Memory }
            : upkeep;
    }

    /// <summary>The keys and the checkpoint that a leading primary owes besides.</summary>
    private static Decision DecideUpkeep(Observation o)
    {
        if (HistoryUpdate.Of(o.Cluster!.History, o.Local, o.Self, o.Config.MaximumHistoryLines) is { } history)
        {
            return Act(o, "writes_history", "writes the timeline history", s_second,
                new HaAction.WriteHistory(history));
        }
        var due = o.Memory.CheckpointAskedAt is not { } at || o.Now - at > TimeSpan.FromSeconds(30);
        if (o.Local.Server == ServerState.Running && !o.Local.CheckpointedSincePromotion && due)
        {
            return new Decision("checkpoints", "is the leader; begins the checkpoint after its promotion",
                [new HaAction.BeginCheckpoint()], o.Memory with { CheckpointAskedAt = o.Now }, s_second);
        }
        if (o.Local.CheckpointedSincePromotion && o.Memory.CheckpointAskedAt is not null)
        {
            o = o with { Memory = o.Memory with { CheckpointAskedAt = null } };
        }
        if (IsSilent(o))
        {
            return DecideSilence(o);
        }
        return o.Local.Server == ServerState.Unresponsive
            ? Wait(o, "unresponsive", "is the leader; PostgreSQL does not answer its questions", s_second)
            : Wait(o, "leads", "is the leader, the primary with the lock");
    }

    private static Decision? DecideMissingKeys(Observation o)
    {
        if (o.Cluster!.Initialize.SystemId is null && o.Local.Control is { } control)
        {
            return Act(o, "repairs_keys", "writes the missing system identifier", s_second,
                new HaAction.WriteInitialize(control.SystemId, o.Cluster.Initialize.IsMissing ? 0 : null));
        }
        return o.Cluster.Config is null
            ? Act(o, "repairs_keys", "writes the missing dynamic configuration", s_second, new HaAction.WriteConfig())
            : null;
    }

    private static bool IsSilent(Observation o) =>
        !o.IsDcsLive || o.Lease.LeaderLeft - o.Lease.Reserve < (o.Lease.Ttl - o.Lease.Reserve) / 2;

    /// <summary>
    /// The DCS does not answer the leader: the lease still lasts, or the members have to consent (failsafe mode).
    /// </summary>
    private static Decision DecideSilence(Observation o)
    {
        var left = o.Lease.LeaderLeft - o.Lease.SafetyMargin;
        if (!o.Config.FailsafeMode)
        {
            return Wait(o, "dcs_unreachable",
                $"is the leader; the DCS is not accessible, the lease lasts {Math.Max(0, left.TotalSeconds):F0} s",
                Least(left, s_second));
        }
        // Answers that came too late are asked for again at once: the lease runs out.
        var pause = o.FailsafeHolds ? Least(o.Timing.LoopWait, o.Timing.Ttl / 4) : s_soon;
        var due = o.Failsafe.LastAskedAt is not { } at || o.Now - at >= pause;
        return due
            ? Act(
                o, "failsafe", "is the leader; the DCS is not accessible: asks the failsafe members for their consent",
                s_soon, new HaAction.AskFailsafe())
            : Wait(o, "failsafe", o.FailsafeHolds
                ? "is the leader by failsafe mode: the DCS is not accessible, and every member has consented"
                : "is the leader; the DCS is not accessible, and not every member has consented yet", s_soon);
    }

    private static TimeSpan Longest(TimeSpan left, TimeSpan right) => left > right ? left : right;

    private static TimeSpan Least(TimeSpan left, TimeSpan right) =>
        left <= TimeSpan.Zero ? s_soon : left < right ? left : right;

    private static Decision DecideSynchronous(Observation o)
    {
        var decision = SyncPlanner.Next(SyncView(o));
        HaAction? action = decision.Step switch
        {
            SyncStep.WriteSync write => new HaAction.WriteSync(write.Content),
            SyncStep.DeleteSync delete => new HaAction.DeleteSync(delete.ModRevision),
            SyncStep.SetStandbyNames set => new HaAction.SetSynchronousStandbys(set.Text),
            _ => null,
        };
        var memory = o.Memory with { Sync = decision.Memory };
        if (action is not null)
        {
            return new Decision("synchronous", $"is the leader; {decision.Reason}", [action], memory, s_soon);
        }
        return new Decision("synchronous_waits", $"is the leader; {decision.Reason}", [], memory,
            (decision.Step as SyncStep.Wait)?.For);
    }

    private static SyncObservation SyncView(Observation o) => new()
    {
        Self = o.Self,
        Config = o.Config,
        Sync = o.Cluster!.Sync,
        Members = o.Cluster.Members,
        Senders = [.. o.Local.Standbys.Select(row => row.ToSender())],
        SynchronousCommit = o.Local.SynchronousCommit,
        StandbyNames = o.Local.SynchronousStandbyNames,
        UserStandbyNames = o.Local.UserSynchronousStandbyNames,
        FlushLsn = o.Local.WalPosition,
        Timing = o.Timing,
        Now = o.Now,
        Memory = o.Memory.Sync ?? SyncMemory.Empty,
    };
}
