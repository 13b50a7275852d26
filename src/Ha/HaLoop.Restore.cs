using Routing.Cluster;

namespace Routing.Ha;

// The living cluster is taken back in time: the leader restores its data from the repository, and keeps the leader key.
public static partial class HaLoop
{
    /// <summary>A restore, or what one has left, decides what this member does; null: it does not.</summary>
    private static Decision? DecideRestore(Observation o)
    {
        if (o.Cluster!.Restore is not { } restore || restore.Phase == RestorePhase.Failed)
        {
            return DecideLeftover(o);
        }
        if (restore.Member != o.Self)
        {
            return DecideLeftover(o) ?? (restore.Phase == RestorePhase.Promoted
                ? DecideRestored(o, restore)   // its restorer may have died since: the leader ends it
                : DecideForeignRestore(o, restore));
        }
        if (o.Local.Damage == DataDamage.Restored && o.Local.RestoreId != restore.Id)
        {
            return DecideLeftover(o);
        }
        return restore.Phase switch
        {
            RestorePhase.Promoted => DecideLeftover(o) ?? DecideRestored(o, restore),
            _ when WhyNoRestore(o) is { } problem => Fail(o, restore, problem),
            RestorePhase.Requested => DecideRequestedRestore(o, restore),
            RestorePhase.Restoring => DecideRestoring(o, restore),
            _ => DecidePromotionOfRestored(o, restore),
        };
    }

    /// <summary>Why the restore of this member is over before its target; null: it goes on.</summary>
    private static string? WhyNoRestore(Observation o) => o.Cluster!.Restore switch
    {
        null => "it was called off",
        { Phase: RestorePhase.Failed } failed => failed.Problem ?? "it was called off",
        // Carried out before, perhaps: what was committed since then would be lost.
        var restore when restore.Member == o.Self && !o.Cluster.Life.HasWritten(restore.ModRevision)
            && o.Local.RestoreId != restore.Id => "the request came back with a restored store; ask again if it stands",
        { CanBeCalledOff: false } => null,
        var restore when restore.Member != o.Self => $"{restore.Member} restores",
        _ when o.Leader is { } leader && leader != o.Self => $"{leader} leads",
        _ when o.IsStandbyCluster => "this is a standby cluster: take the one back that it follows",
        _ when o.Paused => "the cluster is paused: resume it first",
        _ => null,
    };

    /// <summary>While the leader restores, the others hold WAL from beyond the target: they must not lead.</summary>
    private static Refusal? WhyBarredByRestore(Observation o) =>
        o.Cluster!.Restore is { BarsOthers: true } restore && restore.Member != o.Self
            ? new Refusal("restoring",
                $"does not race: {restore.Member} takes the cluster back to {restore.Target}", s_second)
            : null;

    /// <summary>Restored data whose restore is over without a promotion give way to those that stand aside.</summary>
    private static Decision? DecideLeftover(Observation o)
    {
        if (o.Local is not { Damage: DataDamage.Restored, RestoreId: { } id, IsPrimary: false }
            || o.Local.PromotionAsked)
        {
            return null;
        }
        return !o.IsDcsLive
            ? Wait(o, "restore_waits", "leaves its restored data as they are: the DCS is not accessible", s_second)
            : MustWait(o, out var left)
            ? Wait(o, "restore_put_back", $"puts its data back in {left.TotalSeconds:F0} s", left)
            : Act(o, "restore_put_back", "puts the data back that were set aside: their restore is over", null,
                new HaAction.PutBack(id));
    }

    /// <summary>
    /// Another member was to restore, and this one leads: what was asked of the former leader is void.
    /// </summary>
    private static Decision? DecideForeignRestore(Observation o, RestoreRequest restore) =>
        o.Leads && o.Local is { Server: ServerState.Running, IsPrimary: true }
            ? Act(o, "restore_dropped",
                $"drops the restore of {restore.Member}: this member leads, and has more than the target", s_soon,
                new HaAction.DeleteRestore(restore.ModRevision))
            : null;

    private static Decision? DecideRequestedRestore(Observation o, RestoreRequest restore)
    {
        if (o.Leader != o.Self || !o.Lease.HoldsLeader || !o.IsDcsLive
            || o.Local is not { Server: ServerState.Running, IsPrimary: true })
        {
            return DecideLeftover(o);   // else the member that leads next decides about the request
        }
        if (!o.Options.CanRestore)
        {
            return Fail(o, restore, "this member has no pgbackrest section, which says where the repository is");
        }
        if (o.Cluster!.Members.Values.FirstOrDefault(member => member.Routing is null) is { } other)
        {
            return Fail(o, restore, $"{other.Name} does not know restores: it does not run routing-agent");
        }
        return Act(o, "restore_begins", $"takes the cluster back to {restore.Target}: the others may not lead now",
            s_soon, new HaAction.WriteRestore(restore with
            {
                Phase = RestorePhase.Restoring,
                Timeline = restore.Timeline > 0 ? restore.Timeline : o.Local.Timeline,
            }));
    }

    private static Decision? DecideRestoring(Observation o, RestoreRequest restore)
    {
        if (WithKey(o) is { } first)
        {
            return first;
        }
        if (o.Memory.RestoreFailure is { } failure && failure.Id == restore.Id)
        {
            return Fail(o, restore, failure.Problem);
        }
        if (o.Memory.RestoreReached == restore.Id && IsAtTarget(o, restore))
        {
            return Act(o, "restore_reached", $"has its data back at {restore.Target}", s_soon,
                new HaAction.WriteRestore(restore with { Phase = RestorePhase.Promoting }));
        }
        return Restore(o, restore);
    }

    private static Decision? DecidePromotionOfRestored(Observation o, RestoreRequest restore)
    {
        if (WithKey(o) is { } first)
        {
            return first;
        }
        if (o.Local.Damage == DataDamage.Restored && !o.Local.PromotionAsked)
        {
            // An agent that was started again cannot know why the replay stands still: the job makes sure.
            return o.Memory.RestoreReached == restore.Id && IsAtTarget(o, restore)
                ? DecidePromotion(o)
                : Restore(o, restore);
        }
        if (o.Local is not { Server: ServerState.Running, IsPrimary: true })
        {
            return null;   // it was promoted, and starts again like any leader
        }
        // The history names the new timeline before the others may lead again: it tells them that they have left it.
        return o.Cluster!.Timeline == o.Local.Timeline && o.Local.Timeline > restore.Timeline
            ? Act(o, "restore_promoted", $"leads on timeline {o.Local.Timeline}, which began at {restore.Target}",
                s_soon, new HaAction.WriteRestore(restore with
                {
                    Phase = RestorePhase.Promoted, NewTimeline = o.Local.Timeline,
                }))
            : null;
    }

    /// <summary>The leader runs on its new timeline: the restore has ended when every member follows there.</summary>
    private static Decision? DecideRestored(Observation o, RestoreRequest restore) =>
        o.Leads && o.Local is { Server: ServerState.Running, IsPrimary: true }
            && o.Cluster!.Members.Values.All(member => member.Name == o.Self
                || (member is { State: PostgresState.Running, Role: Role.Replica, ReplicationState: "streaming" }
                    && member.Timeline >= restore.NewTimeline))
            ? Act(o, "restore_ends", $"has taken the cluster back to {restore.Target}: every member follows", s_soon,
                new HaAction.DeleteRestore(restore.ModRevision))
            : null;

    /// <summary>Takes the leader key first, or waits for it; null: this member holds it for long enough.</summary>
    private static Decision? WithKey(Observation o)
    {
        if (o.Leads)
        {
            return null;
        }
        if (o.IsDcsLive && !o.Lease.IsUncertain && !o.Lease.HoldsLeader)
        {
            if (o.Cluster!.Leader?.Holder == o.Self)
            {
                return Act(o, "attaching", "finds its own name in the leader key and takes it over", s_soon,
                    new HaAction.AttachLeader());
            }
            if (o.Leader is null && o.Memory.EarlierLeaseUntil is null)
            {
                return Act(o, "restore_leads", "takes the free leader key: the cluster goes back in time here",
                    s_raceAgain, new HaAction.AcquireLeader());
            }
        }
        return Wait(o, "restore_waits", "does not go on with the restore: it does not hold the leader key for certain",
            s_soon);
    }

    private static bool IsAtTarget(Observation o, RestoreRequest restore) =>
        o.Local is { Damage: DataDamage.Restored, Server: ServerState.Running, IsPrimary: false, ReplayPaused: true }
        && o.Local.RestoreId == restore.Id;

    private static Decision Restore(Observation o, RestoreRequest restore) => MustWait(o, out var left)
        ? Wait(o, "restore_waits", $"goes on with the restore in {left.TotalSeconds:F0} s", left)
        : new Decision("restores", $"restores its data to {restore.Target}", [new HaAction.Restore(restore)],
            o.Memory with { Restoring = restore.Id, RestoreReached = null, RestoreFailure = null }, null);

    private static Decision? Fail(Observation o, RestoreRequest restore, string problem) =>
        o.IsDcsLive
            ? new Decision("restore_failed", $"calls the restore off: {problem}",
                [new HaAction.WriteRestore(restore with { Phase = RestorePhase.Failed, Problem = problem })],
                o.Memory with { RestoreFailure = null }, s_soon)
            : Wait(o, "restore_waits", $"will call the restore off: {problem}", s_second);

    /// <summary>
    /// After a restore the WAL that a rewind needs may be long gone: one try, then a copy, as the operator agreed.
    /// </summary>
    private static bool MayRewind(Observation o) =>
        o.Local.RewindPossible && !(IsRestored(o) && o.Memory.RewindFailures > 0);

    /// <summary>The cluster went back in time: data from beyond the target have no future here.</summary>
    private static bool IsRestored(Observation o) => o.Cluster!.Restore is { Phase: RestorePhase.Promoted };
}
