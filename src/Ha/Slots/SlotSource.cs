using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Slots;

/// <summary>The server of the remote cluster that the leader of a standby cluster streams from.</summary>
/// <param name="Address">Its address.</param>
/// <param name="SlotName">The slot there that this member streams from; null: none is configured.</param>
/// <param name="Timeline">The timeline that is streamed.</param>
public sealed record RemotePrimary(HostPort Address, string? SlotName, uint Timeline);

/// <summary>
/// Where a standby's copies of logical slots come from: the leader, and for the leader of a standby cluster the remote
/// primary.
/// </summary>
internal static class SlotSource
{
    /// <summary>Logical slots can follow to the members of this cluster: it is no archive that they replay.</summary>
    public static bool CanFollow(DynamicConfig config) =>
        config.StandbyCluster is null or { Hosts: [_, ..] };

    /// <summary>What an answer of the source holds for; null: there is no source to ask now.</summary>
    public static SlotGround? GroundOf(SlotObservation o) => (o.Config.StandbyCluster, o.Cluster.Leader) switch
    {
        (not null, _) => o.Remote is { } remote
            ? new SlotGround($"the remote primary {remote.Address} on timeline {remote.Timeline}", default,
                o.PostmasterStart)
            : null,
        (null, { } leader) when leader.Holder != o.Self =>
            new SlotGround(leader.Holder, leader.Term, o.PostmasterStart),
        _ => null,
    };

    /// <summary>What the consumers of the source's slots have confirmed; null: it is not known now.</summary>
    public static ImmutableSortedDictionary<string, Lsn>? Positions(SlotObservation o) =>
        !o.IsLeader ? o.Cluster.Status.Slots
        : o.Report.Answer is { } answer && answer.Ground == GroundOf(o) ? answer.Confirmed
        : null;

    /// <summary>
    /// Remembers since when the source has been without a slot that this member of a standby cluster has a copy of:
    /// nothing moves such a copy on, and it keeps WAL.
    /// </summary>
    public static SlotMemory NoteLacking(
        SlotObservation o, ImmutableSortedDictionary<string, WantedSlot> wanted, SlotMemory memory)
    {
        if (o.Config.StandbyCluster is null || o.IsPrimary)
        {
            return memory with { Lacking = SlotMemory.Empty.Lacking };
        }
        var copies = o.Slots.Where(slot => slot.IsLogical && wanted.ContainsKey(slot.Name))
            .Select(slot => slot.Name).ToList();
        var lacking = memory.Lacking.RemoveRange(memory.Lacking.Keys.Except(copies));
        // A leader that is about to be one, or down, has published nothing.
        var isTold = o.IsLeader
            || o.Cluster.LeaderMember is { Role: Role.StandbyLeader, State: PostgresState.Running };
        if (o.DcsIsSilent || !isTold || Positions(o) is not { } positions)
        {
            return memory with { Lacking = lacking };
        }
        foreach (var name in copies)
        {
            lacking = positions.ContainsKey(name) ? lacking.Remove(name)
                : lacking.ContainsKey(name) ? lacking
                : lacking.Add(name, o.Now);
        }
        return memory with { Lacking = lacking };
    }
}
