using Routing.Cluster;

namespace Routing.Ha;

public static partial class HaLoop
{
    /// <summary>After so long without a copy the next one is the first again.</summary>
    private static readonly TimeSpan s_slotCopyCalm = TimeSpan.FromMinutes(15);

    private static readonly Backoff s_slotCopyPauses = new(TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(5));

    /// <summary>
    /// This standby lacks logical slots that its leader has: it copies them, which takes a restart. Null: it does not.
    /// </summary>
    /// <param name="o">The observation.</param>
    /// <param name="leader">The leader; null: this member leads a standby cluster, and copies from the remote primary.
    /// </param>
    private static Decision? DecideSlotCopy(Observation o, string? leader)
    {
        if (!CopiesSlotsSoon(o, o.Memory))
        {
            return null;
        }
        return StillLeaves(o, "restarts to load logical slots") ?? Act(
            o, "copies_slots",
            $"copies logical slots that {leader ?? "the remote primary"} has and it lacks, and restarts to load them",
            null,
            new HaAction.CopySlots(leader, SlotCopies.Due(o), o.Local.Following));
    }

    /// <summary>Nothing hinders the copy, except that a synchronous standby leaves the set first.</summary>
    private static bool CopiesSlotsSoon(Observation o, LoopMemory memory) =>
        !o.Paused && o.Job is null && o.IsDcsLive && o.Local.IsStreaming
        && (LeadsStandbyCluster(o)
            || o.Cluster?.LeaderMember is { State: PostgresState.Running, Address: not null } leader
                && leader.Role == (o.IsStandbyCluster ? Role.StandbyLeader : Role.Primary))
        && (memory.SlotsCopiedAt is not { } last || o.Now - last >= s_slotCopyPauses.After(memory.SlotCopies))
        && !SlotCopies.Due(o).IsEmpty;

    private static bool LeadsStandbyCluster(Observation o) => o.IsStandbyCluster && o.Leads;
}
