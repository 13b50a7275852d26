using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Slots;

/// <summary>
/// Decides which replication slots this member keeps, how far they are advanced, and what the leader publishes of them.
/// </summary>
public static class SlotPlanner
{
    private const int FirstMajorWithSlotSync = 17;

    /// <summary>What to do now. A slot that is dropped because it is wrong is created by the next run.</summary>
    public static SlotPlan Plan(SlotObservation o)
    {
        var retained = RetainedSlots.Update(o);
        var problems = ImmutableArray.CreateBuilder<string>();
        var wanted = WantedSlots.Find(o, retained.Names, problems);
        var present = o.Slots.ToDictionary(slot => slot.Name, StringComparer.Ordinal);
        var actions = ImmutableArray.CreateBuilder<SlotAction>();
        foreach (var slot in o.Slots.OrderBy(slot => slot.Name, StringComparer.Ordinal))
        {
            if (Drop(o, slot, wanted) is { } reason)
            {
                if (slot.Active)
                {
                    problems.Add($"Slot {slot.Name} is to be dropped ({reason}) but somebody streams from it.");
                }
                else
                {
                    actions.Add(new SlotAction.Drop(slot.Name, reason));
                    present.Remove(slot.Name);
                }
            }
        }
        foreach (var want in wanted.Values)
        {
            var action = o.Slots.Any(slot => slot.Name == want.Name)
                ? present.TryGetValue(want.Name, out var slot) ? Advance(o, want, slot) : null
                : Create(o, want);
            if (action is not null)
            {
                actions.Add(action);
            }
        }
        return new SlotPlan(
            actions.ToImmutable(),
            o.IsLeader ? Published(o, wanted, present) : null,
            o.IsLeader ? retained.Names : null,
            NeedsFeedback(o, wanted),
            problems.ToImmutable(),
            retained.Memory);
    }

    /// <summary>Why the slot has to go, or null.</summary>
    private static string? Drop(
        SlotObservation o, ReplicationSlot slot, ImmutableSortedDictionary<string, WantedSlot> wanted)
    {
        if (o.Config.Pause || o.DcsIsSilent || slot.Temporary
            || o.Config.IgnoreSlots.Any(matcher => Matches(matcher, slot)))
        {
            return null;
        }
        if (o.ServerMajor >= FirstMajorWithSlotSync && slot.Failover)
        {
            return !o.IsPrimary && !slot.Synced
                ? "it stands in the way of PostgreSQL's own slot synchronisation"
                : null;
        }
        if (!wanted.TryGetValue(slot.Name, out var want))
        {
            // With use_slots off we take back what agents made, and leave the operator's own slots alone.
            return o.Config.UseSlots || WantedSlots.IsMemberSlot(o, slot.Name) ? "nobody needs it" : null;
        }
        if (slot.Lost)
        {
            return "its WAL was removed";
        }
        if (slot.IsLogical != want.IsLogical)
        {
            return $"it is {Kind(slot.IsLogical)} and should be {Kind(want.IsLogical)}";
        }
        if (want.IsLogical)
        {
            return slot.Database != want.Database || slot.Plugin != want.Plugin
                ? "its database or plugin is another one"
                : null;
        }
        if (slot.RestartLsn is null && !slot.Active)
        {
            return "it reserves no WAL";
        }
        return slot.Xmin is not null && !want.IsStreamedHere && o.Cluster.LeaderMember?.Role == Role.Primary
            ? "it holds back vacuum, and nobody streams from it here"
            : null;
    }

    private static SlotAction? Create(SlotObservation o, WantedSlot want)
    {
        if (o.DcsIsSilent)
        {
            return null;
        }
        if (!want.IsLogical)
        {
            return new SlotAction.CreatePhysical(want.Name, want.Reason);
        }
        if (o.IsPrimary)
        {
            return new SlotAction.CreateLogical(want.Name, want.Database!, want.Plugin!, want.Reason);
        }
        return !o.IsLeader && o.Cluster.Leader is not null && o.Cluster.Status.Slots.ContainsKey(want.Name)
            ? new SlotAction.CopyLogical(want.Name, "the leader has it and this member does not")
            : null;
    }

    private static SlotAction? Advance(SlotObservation o, WantedSlot want, ReplicationSlot slot)
    {
        if (o.Config.IgnoreSlots.Any(matcher => Matches(matcher, slot))
            || (slot.Failover && o.ServerMajor >= FirstMajorWithSlotSync))
        {
            return null;
        }
        if (want.IsLogical)
        {
            if (o.IsPrimary || o.IsLeader || !slot.IsLogical)
            {
                return null;
            }
            if (o.Broken.Contains(slot.Name))
            {
                return o.DcsIsSilent ? null : new SlotAction.CopyLogical(slot.Name, "the local copy can't be advanced");
            }
            return o.Cluster.Status.Slots.TryGetValue(slot.Name, out var published)
                && Least(published, o.ReplayLsn) is var to && slot.ConfirmedFlushLsn is { } confirmed && to > confirmed
                ? new SlotAction.Advance(slot.Name, slot.Database, to, "the leader's consumer went on")
                : null;
        }
        if (slot.IsLogical || want.IsStreamedHere || slot.Active || slot.Xmin is not null
            || slot.RestartLsn is not { } restart)
        {
            return null;
        }
        var target = Target(o, want);
        var reachable = Least(target, o.IsPrimary ? o.Lsn : o.ReplayLsn);
        return reachable > restart
            ? new SlotAction.Advance(slot.Name, null, reachable, "its consumer streams from another member")
            : null;
    }

    /// <summary>How far the consumer is known to have come.</summary>
    private static Lsn Target(SlotObservation o, WantedSlot want)
    {
        var target = o.IsLeader ? Lsn.Zero : o.Cluster.Status.Slots.GetValueOrDefault(want.Name);
        var leaderIsOld = !o.IsLeader && !o.DcsIsSilent
            && System.Version.TryParse(o.Cluster.LeaderMember?.Version, out var version) && version.Major < 4;
        return want.Member is { } member && (member.Tags.ReplicateFrom is not null || leaderIsOld)
            ? Lsn.Max(target, member.ReplayLsn is { } replay && member.ReceiveLsn is { } receive
                ? Lsn.Max(replay, receive)
                : member.XlogLocation ?? Lsn.Zero)
            : target;
    }

    private static ImmutableSortedDictionary<string, Lsn> Published(
        SlotObservation o, ImmutableSortedDictionary<string, WantedSlot> wanted,
        Dictionary<string, ReplicationSlot> present)
    {
        var published = LeaderStatus.None.Slots.ToBuilder();
        foreach (var want in wanted.Values)
        {
            if (present.TryGetValue(want.Name, out var slot)
                && (o.Config.MemberSlotsTtl > TimeSpan.Zero || want.IsPermanent)
                && (slot.IsLogical ? slot.ConfirmedFlushLsn : slot.RestartLsn) is { } position)
            {
                published[want.Name] = position;
            }
        }
        if (o.Config.UseSlots && (o.Config.MemberSlotsTtl > TimeSpan.Zero || published.Count > 0))
        {
            published[ReplicationSlotName.FromMember(o.Self)] = o.Lsn;
        }
        return published.ToImmutable();
    }

    /// <summary>
    /// A copied logical slot only stays usable while the leader keeps the catalog rows that it needs.
    /// </summary>
    private static bool NeedsFeedback(SlotObservation o, ImmutableSortedDictionary<string, WantedSlot> wanted)
    {
        if (o.IsPrimary || o.Tags.NoStream || !o.Config.UseSlots)
        {
            return false;
        }
        return wanted.Values.Any(want => want.IsLogical)
            || (o.Config.StandbyCluster is null
                && o.Config.PermanentSlots.Values.Any(slot => slot.IsLogical)
                && o.Cluster.Members.Values.Any(
                    member => member.Tags.ReplicateFrom == o.Self && !member.Tags.NoStream));
    }

    private static bool Matches(SlotMatcher matcher, ReplicationSlot slot) =>
        (matcher.Name is null || matcher.Name == slot.Name)
        && (matcher.Type is null || matcher.Type == Kind(slot.IsLogical))
        && (matcher.Database is null || matcher.Database == slot.Database)
        && (matcher.Plugin is null || matcher.Plugin == slot.Plugin);

    private static string Kind(bool isLogical) => isLogical ? "logical" : "physical";

    private static Lsn Least(Lsn left, Lsn right) => left < right ? left : right;
}
