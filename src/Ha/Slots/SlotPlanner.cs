using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Slots;

/// <summary>
/// Decides which replication slots this member keeps, how far they are advanced, and what the leader publishes of them.
/// </summary>
public static class SlotPlanner
{
    /// <summary>
    /// A slot on disk may be this many bytes behind what its consumer had at the clean end of a primary: one segment.
    /// </summary>
    private const ulong MostBehindAtSwitch = 16 << 20;

    /// <summary>What to do now. A slot that is dropped because it is wrong is created by the next run.</summary>
    public static SlotPlan Plan(SlotObservation o)
    {
        var retained = RetainedSlots.Update(o);
        var problems = ImmutableArray.CreateBuilder<string>();
        var wanted = WantedSlots.Find(o, retained.Names, problems);
        var memory = SlotSource.NoteLacking(o, wanted, retained.Memory);
        var present = o.Slots.ToDictionary(slot => slot.Name, StringComparer.Ordinal);
        var actions = ImmutableArray.CreateBuilder<SlotAction>();
        foreach (var slot in o.Slots.OrderBy(slot => slot.Name, StringComparer.Ordinal))
        {
            if (Drop(o, slot, wanted, memory) is { } reason)
            {
                if (slot.Active)
                {
                    problems.Add($"Slot {slot.Name} is to be dropped ({reason}), but a client streams from it.");
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
        var readiness = SlotReadiness.Update(o, wanted, memory);
        return new SlotPlan(
            actions.ToImmutable(),
            o.IsLeader ? Published(o, wanted, present) : null,
            o.IsLeader ? retained.Names : null,
            NeedsFeedback(o),
            problems.ToImmutable(),
            readiness.Memory)
        {
            Unready = readiness.Unready,
            Question = readiness.Question,
        };
    }

    /// <summary>Why the slot has to go, or null.</summary>
    private static string? Drop(
        SlotObservation o, ReplicationSlot slot, ImmutableSortedDictionary<string, WantedSlot> wanted,
        SlotMemory memory)
    {
        if (o.Config.Pause || o.DcsIsSilent || slot.Temporary
            || o.Config.IgnoreSlots.Any(matcher => Matches(matcher, slot)))
        {
            return null;
        }
        if (slot.Failover && ServerFeatures.HasSlotSync(o.ServerMajor))
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
                : memory.Lacking.TryGetValue(slot.Name, out var since) && o.Now - since >= o.Config.MemberSlotsTtl
                ? "the remote cluster has no such slot"
                : null;
        }
        if (slot.RestartLsn is null && !slot.Active)
        {
            return "it reserves no WAL";
        }
        return HoldsVacuum(slot) && (want.IsStreamedHere
            ? want.IsPermanent && IsLeftBySwitch(o, slot)
            // A primary whose agent was started anew does not hold its key yet: members that are away need their slots.
            : !o.IsPrimary && o.Cluster.LeaderMember?.Role
                == (o.Config.StandbyCluster is null ? Role.Primary : Role.StandbyLeader))
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
        // A standby copies it from the leader, the leader of a standby cluster from the remote primary (SlotCopies).
        return o.IsPrimary && o.Config.StandbyCluster is null
            ? new SlotAction.CreateLogical(want.Name, want.Database!, want.Plugin!,
                o.Cluster.Status.Slots.ContainsKey(want.Name)
                    ? "permanent; the leader before had it, and its consumers have to be set up anew"
                    : want.Reason)
            : null;
    }

    private static bool HoldsVacuum(ReplicationSlot slot) => slot.Xmin is not null || slot.CatalogXmin is not null;

    /// <summary>
    /// After a switch of two clusters the slot through which the other side streamed still has what its feedback asked
    /// for; by the feedback of this side it would hold back vacuum on the new primary for ever. It is made anew. One
    /// whose consumer was away at the switch keeps its position, and so its WAL.
    /// </summary>
    private static bool IsLeftBySwitch(SlotObservation o, ReplicationSlot slot) =>
        o.Config.StandbyCluster is not null && !o.IsPrimary && !slot.Active && slot.RestartLsn is { } restart
        && o.Cluster.Demotion is { } demotion && demotion.Lsn.BytesAheadOf(restart) <= MostBehindAtSwitch;

    private static SlotAction.Advance? Advance(SlotObservation o, WantedSlot want, ReplicationSlot slot)
    {
        if (o.Config.IgnoreSlots.Any(matcher => Matches(matcher, slot))
            || (slot.Failover && ServerFeatures.HasSlotSync(o.ServerMajor)))
        {
            return null;
        }
        if (want.IsLogical)
        {
            if (o.IsPrimary || !slot.IsLogical || SlotSource.Positions(o) is not { } positions)
            {
                return null;
            }
            return !slot.Active && !o.Report.Broken.Contains(slot.Name)
                && positions.TryGetValue(slot.Name, out var published)
                && Least(published, o.ReplayLsn) is var to && slot.ConfirmedFlushLsn is { } confirmed && to > confirmed
                ? new SlotAction.Advance(slot.Name, slot.Database, to,
                    o.IsLeader ? "the remote primary's consumer went on" : "the leader's consumer went on")
                : null;
        }
        if (slot.IsLogical || want.IsStreamedHere || slot.Active || HoldsVacuum(slot)
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
    /// Whether hot_standby_feedback has to be on, now or once this member is a standby: a copied logical slot only
    /// stays usable while the leader keeps the catalog rows that it needs, and feedback comes through this member.
    /// </summary>
    private static bool NeedsFeedback(SlotObservation o)
    {
        if (o.Tags.NoStream || !o.Config.UseSlots || !SlotSource.CanFollow(o.Config)
            || !o.Config.PermanentSlots.Values.Any(slot => slot.IsLogical))
        {
            return false;
        }
        return !o.Tags.NoFailover || IsUpstream(o, o.Self, 0);
    }

    /// <summary>A member that may lead streams through this one.</summary>
    private static bool IsUpstream(SlotObservation o, string name, int hops) =>
        hops <= o.Cluster.Members.Count && o.Cluster.Members.Values.Any(
            member => member.Tags.ReplicateFrom == name && member.Name != name && !member.Tags.NoStream
                && (!member.Tags.NoFailover || IsUpstream(o, member.Name, hops + 1)));

    /// <summary>Whether agents leave this slot alone, once it is there.</summary>
    internal static bool Matches(SlotMatcher matcher, WantedSlot want) =>
        Matches(matcher, new ReplicationSlot
        {
            Name = want.Name,
            IsLogical = want.IsLogical,
            Database = want.Database,
            Plugin = want.Plugin,
        });

    private static bool Matches(SlotMatcher matcher, ReplicationSlot slot) =>
        (matcher.Name is null || matcher.Name == slot.Name)
        && (matcher.Type is null || matcher.Type == Kind(slot.IsLogical))
        && (matcher.Database is null || matcher.Database == slot.Database)
        && (matcher.Plugin is null || matcher.Plugin == slot.Plugin);

    private static string Kind(bool isLogical) => isLogical ? "logical" : "physical";

    private static Lsn Least(Lsn left, Lsn right) => left < right ? left : right;
}
