using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Slots;

/// <summary>
/// Decides which logical slots of a standby are safe to use, should it be promoted.
/// </summary>
/// <remarks>
/// A copied slot needs the catalog rows from its own <c>catalog_xmin</c> on. The leader keeps them only since this
/// standby's feedback has reached the slot that it streams from; rows that were older than the leader's own slot needed
/// may be gone by then. So a copy is safe once the catalog_xmin of that physical slot is not before what the leader's
/// logical slot had when the feedback was first seen, and not after the copy's own.
/// </remarks>
internal static class SlotReadiness
{
    /// <summary>The logical slots that are not known to be safe, and what has to be asked about them.</summary>
    public static (ImmutableSortedSet<string> Unready, LeaderSlotQuestion? Question, SlotMemory Memory) Update(
        SlotObservation o, ImmutableSortedDictionary<string, WantedSlot> wanted, SlotMemory memory)
    {
        if (o.IsPrimary)
        {
            return ([], null, Forget(memory, null));
        }
        var copies = o.Slots.Where(slot => IsCopy(o, slot, wanted)).ToList();
        if (o.Config.StandbyCluster is not null && !o.IsLeader)
        {
            // Nobody but its leader is promoted: whoever will lead asks the remote primary then.
            return (Unready(copies, SlotMemory.Empty.Ready), null, Forget(memory, null));
        }
        if (o.DcsIsSilent || o.Cluster.Leader is not { } leader || SlotSource.GroundOf(o) is not { } ground)
        {
            return (Unready(copies, memory.Ready), null, memory);
        }
        if (memory.Ground != ground)
        {
            memory = Forget(memory, ground);
        }
        memory = memory with { Ready = memory.Ready.Intersect(copies.Select(slot => slot.Name)) };
        if (o.Report.Answer is { PhysicalCatalogXmin: { } kept } answer && answer.Ground == ground)
        {
            memory = Absorb(memory, copies, answer, kept);
        }
        var unready = Unready(copies, memory.Ready);
        if (o.Remote is { } remote)
        {
            var names = wanted.Values.Where(want => want.IsLogical).Select(want => want.Name).ToImmutableArray();
            return (unready,
                names.IsEmpty ? null : new LeaderSlotQuestion(ground, remote.Address, remote.SlotName, names), memory);
        }
        return (unready, unready.IsEmpty || o.Cluster.LeaderMember?.Address is not { } address
            ? null
            : new LeaderSlotQuestion(ground, address, SlotOnLeader(o, leader.Holder),
                [.. unready.Where(name => !memory.LeaderXmins.ContainsKey(name))]), memory);
    }

    private static SlotMemory Forget(SlotMemory memory, SlotGround? ground) => memory with
    {
        Ground = ground, Ready = SlotMemory.Empty.Ready, LeaderXmins = SlotMemory.Empty.LeaderXmins,
    };

    private static SlotMemory Absorb(
        SlotMemory memory, List<ReplicationSlot> copies, LeaderSlotAnswer answer, uint kept)
    {
        foreach (var slot in copies.Where(slot => !memory.Ready.Contains(slot.Name)))
        {
            if (!memory.LeaderXmins.TryGetValue(slot.Name, out var needed))
            {
                if (!answer.CatalogXmins.TryGetValue(slot.Name, out needed))
                {
                    continue;
                }
                memory = memory with { LeaderXmins = memory.LeaderXmins.SetItem(slot.Name, needed) };
            }
            if (slot.CatalogXmin is { } own && !IsBefore(kept, needed) && !IsBefore(own, kept))
            {
                memory = memory with { Ready = memory.Ready.Add(slot.Name) };
            }
        }
        return memory;
    }

    private static ImmutableSortedSet<string> Unready(List<ReplicationSlot> copies, ImmutableSortedSet<string> ready) =>
        copies.Select(slot => slot.Name).Where(name => !ready.Contains(name))
            .ToImmutableSortedSet(StringComparer.Ordinal);

    /// <summary>The server's own slot synchronisation answers for its copies itself.</summary>
    private static bool IsCopy(
        SlotObservation o, ReplicationSlot slot, ImmutableSortedDictionary<string, WantedSlot> wanted) =>
        slot.IsLogical && !(slot.Failover && ServerFeatures.HasSlotSync(o.ServerMajor))
        && wanted.TryGetValue(slot.Name, out var want) && want.IsLogical;

    /// <summary>The slot on the leader through which this member's feedback reaches it.</summary>
    private static string SlotOnLeader(SlotObservation o, string leader)
    {
        var slot = ReplicationSlotName.FromMember(o.Self);
        var upstream = o.Tags.ReplicateFrom;
        for (var hops = 0; upstream is not null && upstream != leader && upstream != o.Self
            && hops <= o.Cluster.Members.Count && o.Cluster.Members.TryGetValue(upstream, out var member); hops++)
        {
            slot = member.SlotName;
            upstream = member.Tags.ReplicateFrom;
        }
        return slot;
    }

    /// <summary>
    /// Transaction numbers go round: of two, the one that is less than half a round behind is the older.
    /// </summary>
    private static bool IsBefore(uint left, uint right) => (int)(left - right) < 0;
}
