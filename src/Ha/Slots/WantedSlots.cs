using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Slots;

/// <summary>A slot that this member has to have.</summary>
internal sealed record WantedSlot(string Name, string Reason)
{
    public bool IsLogical { get; init; }

    public string? Database { get; init; }

    public string? Plugin { get; init; }

    /// <summary>The slot is declared in the dynamic configuration (<c>slots</c>).</summary>
    public bool IsPermanent { get; init; }

    /// <summary>The member that uses it, while its key exists.</summary>
    public Member? Member { get; init; }

    /// <summary>That member streams from this one.</summary>
    public bool IsStreamedHere { get; init; }
}

/// <summary>Finds the slots that this member has to have.</summary>
internal static class WantedSlots
{
    public static ImmutableSortedDictionary<string, WantedSlot> Find(
        SlotObservation o, ImmutableSortedSet<string> retained, ImmutableArray<string>.Builder problems)
    {
        var wanted = ImmutableSortedDictionary.CreateBuilder<string, WantedSlot>(StringComparer.Ordinal);
        if (!o.Config.UseSlots)
        {
            return wanted.ToImmutable();
        }
        AddMembers(o, wanted, problems);
        if (KeepsAll(o) && o.Config.MemberSlotsTtl > TimeSpan.Zero)
        {
            var own = ReplicationSlotName.FromMember(o.Self);
            foreach (var name in o.IsLeader ? retained : o.Cluster.Status.RetainSlots)
            {
                if (name != own && !wanted.ContainsKey(name))
                {
                    wanted[name] = new WantedSlot(name, "its member may come back") { IsStreamedHere = o.IsLeader };
                }
            }
        }
        AddPermanent(o, wanted, problems);
        return wanted.ToImmutable();
    }

    /// <summary>Whether agents make a slot of this name for a member, present or away.</summary>
    public static bool IsMemberSlot(SlotObservation o, string name) =>
        o.Cluster.Status.RetainSlots.Contains(name) || o.Cluster.Members.Values.Any(member => member.SlotName == name);

    private static void AddMembers(
        SlotObservation o, ImmutableSortedDictionary<string, WantedSlot>.Builder wanted,
        ImmutableArray<string>.Builder problems)
    {
        foreach (var member in o.Cluster.Members.Values)
        {
            if (member.Name == o.Self || member.Tags.NoStream)
            {
                continue;
            }
            var streams = StreamsHere(o, member);
            if (!streams && !(o.Config.MemberSlotsTtl > TimeSpan.Zero && KeepsAll(o)))
            {
                continue;
            }
            if (wanted.TryGetValue(member.SlotName, out var other))
            {
                problems.Add(
                    $"Members {other.Member!.Name} and {member.Name} share the slot name {member.SlotName}: rename "
                        + "one.");
                continue;
            }
            wanted[member.SlotName] = new WantedSlot(
                member.SlotName, $"for member {member.Name}") { Member = member, IsStreamedHere = streams };
        }
    }

    private static void AddPermanent(
        SlotObservation o, ImmutableSortedDictionary<string, WantedSlot>.Builder wanted,
        ImmutableArray<string>.Builder problems)
    {
        if (!KeepsAll(o))
        {
            return;
        }
        var own = ReplicationSlotName.FromMember(o.Self);
        var kind = o.Config.StandbyCluster is null ? "primary" : "standby";
        foreach (var (name, slot) in o.Config.PermanentSlots)
        {
            if (name == own || (slot.ClusterType is { } type && type != kind))
            {
                continue;
            }
            if (slot.IsLogical && (!SlotSource.CanFollow(o.Config) || IsBehindNoStream(o)))
            {
                continue;
            }
            if (slot.IsLogical && (slot.Database is null || slot.Plugin is null))
            {
                problems.Add($"Permanent logical slot {name} needs a database and a plugin.");
                continue;
            }
            if (IsMemberSlot(o, name) && o.Cluster.Members.Values.Any(member => member.SlotName == name))
            {
                if (slot.IsLogical)
                {
                    problems.Add($"Permanent slot {name} has the slot name of a member: rename it.");
                }
                continue;
            }
            wanted[name] = new WantedSlot(name, "permanent")
            {
                IsLogical = slot.IsLogical,
                Database = slot.Database,
                Plugin = slot.Plugin,
                IsPermanent = true,
                // A permanent physical slot is used on the leader, by a consumer that agents know nothing of.
                IsStreamedHere = o.IsLeader,
            };
        }
    }

    /// <summary>A member that never leads keeps slots only for those that stream from it.</summary>
    private static bool KeepsAll(SlotObservation o) => o.IsLeader || !o.Tags.NoFailover;

    private static bool StreamsHere(SlotObservation o, Member member)
    {
        var upstream = member.Tags.ReplicateFrom;
        if (o.IsLeader)
        {
            return upstream is null || upstream == o.Self || upstream == member.Name
                || !o.Cluster.Members.ContainsKey(upstream);
        }
        return upstream == o.Self && o.Cluster.Leader?.Holder != member.Name;
    }

    /// <summary>This member, or one that it streams from, replays from the archive: no slot can follow there.</summary>
    private static bool IsBehindNoStream(SlotObservation o)
    {
        if (o.Tags.NoStream)
        {
            return true;
        }
        var upstream = o.IsLeader ? null : o.Tags.ReplicateFrom;
        for (var hops = 0; upstream is not null && hops <= o.Cluster.Members.Count; hops++)
        {
            if (!o.Cluster.Members.TryGetValue(upstream, out var member))
            {
                return false;
            }
            if (member.Tags.NoStream)
            {
                return true;
            }
            upstream = member.Tags.ReplicateFrom;
        }
        return false;
    }
}
