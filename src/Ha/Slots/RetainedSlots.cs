using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Slots;

/// <summary>
/// Remembers, on the leader, when each member was last seen, so that the slot of an absent one is kept for a while.
/// </summary>
internal static class RetainedSlots
{
    private static readonly ImmutableSortedSet<string> s_none =
        ImmutableSortedSet.Create<string>(StringComparer.Ordinal);

    public static (ImmutableSortedSet<string> Names, SlotMemory Memory) Update(SlotObservation o)
    {
        if (!o.IsLeader || o.Config.MemberSlotsTtl <= TimeSpan.Zero || !o.Config.UseSlots)
        {
            return (s_none, o.Memory with { WasLeader = o.IsLeader, LastSeen = SlotMemory.Empty.LastSeen });
        }
        var seen = o.Memory.WasLeader ? o.Memory.LastSeen : SlotMemory.Empty.LastSeen;
        if (!o.Memory.WasLeader)
        {
            // A new leader can't know when the others were last seen: their time begins anew.
            seen = seen.SetItems(o.Cluster.Status.RetainSlots.Select(name => KeyValuePair.Create(name, o.Now)));
        }
        else if (o.DcsIsSilent)
        {
            // No member could show itself meanwhile: the time counts for none.
            var silence = o.Now - o.Memory.At;
            seen = seen.SetItems(seen.Select(entry => KeyValuePair.Create(entry.Key, entry.Value + silence)));
        }
        foreach (var member in o.Cluster.Members.Values)
        {
            if (member.Name != o.Self && o.Slots.Any(slot => slot.Name == member.SlotName))
            {
                seen = seen.SetItem(member.SlotName, o.Now);
            }
        }
        var own = ReplicationSlotName.FromMember(o.Self);
        foreach (var (name, at) in seen)
        {
            if (name == own || o.Now - at > o.Config.MemberSlotsTtl || o.Config.PermanentSlots.ContainsKey(name))
            {
                seen = seen.Remove(name);
            }
        }
        return (s_none.Union(seen.Keys), o.Memory with { WasLeader = true, LastSeen = seen, At = o.Now });
    }
}
