using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Synchronous;

/// <summary>Keeps the <c>sync</c> key and <c>synchronous_standby_names</c> in step, one step per run.</summary>
/// <remarks>
/// <para>Each run looks at what is in force and takes one step towards what is wanted. A crash after any step, or a run
/// by another process without memory, goes on from there: memory only saves time, safety never rests on it.</para>
/// <para>
/// The caller performs the step and then runs the planner again with a new observation, as
/// <see cref="SyncDecision.RunAgainAfter"/> says. As long as the observation shows the key as it was before the last
/// write, that write may have happened, or may yet happen: it is repeated, and nothing else is done. Only a write that
/// is answered, or a newer view, ends the doubt.
/// </para>
/// </remarks>
public static class SyncPlanner
{
    /// <summary>
    /// How long PostgreSQL's processes may take to learn a new parameter after the first of them shows it.
    /// </summary>
    internal static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(100);

    /// <summary>How soon to look again for standbys that are about to catch up.</summary>
    internal static readonly TimeSpan Soon = TimeSpan.FromSeconds(1);

    /// <summary>What a primary does next about its synchronous standbys. Runs in pause too.</summary>
    public static SyncDecision Next(SyncObservation o)
    {
        var mode = ModeOf(o.Config);
        if (mode == SynchronousMode.Off)
        {
            return ModeOff(o);
        }
        o = o with { Memory = Look(o) };
        if (AwaitsParameter(o) is { } wait)
        {
            return wait;
        }
        if (o.Memory.Unanswered(o.Sync) is { } unanswered)
        {
            return new("writes the synchronous state again: it is not known whether it was written",
                new SyncStep.WriteSync(unanswered), o.Memory);
        }
        var decision = !o.Sync.IsActive
            ? new("takes over the synchronous state", Write(o, 0, NameSet.Empty), o.Memory)
            : mode == SynchronousMode.Quorum ? QuorumSync.Next(o) : PrioritySync.Next(o);
        return decision
            with { Memory = decision.Memory with { Wrote = (decision.Step as SyncStep.WriteSync)?.Content } };
    }

    /// <summary>
    /// The mode is off, or the cluster is a standby cluster: removes the key, then gives the parameter back to the
    /// operator.
    /// </summary>
    public static SyncDecision ModeOff(SyncObservation o)
    {
        o = o with { Memory = Look(o) };
        if (o.Sync.ModRevision != 0)
        {
            return new(
                "removes the synchronous state: the mode is off",
                new SyncStep.DeleteSync(o.Sync.ModRevision),
                o.Memory with { NamesAsked = null, GiveBack = true });
        }
        if (AwaitsParameter(o) is { } wait)
        {
            return wait;
        }
        var user = string.IsNullOrWhiteSpace(o.UserStandbyNames) ? null : o.UserStandbyNames;
        return (o.Memory.GiveBack || LooksOurs(o)) && o.StandbyNames.Trim() != (user?.Trim() ?? "")
            ? Ask(o, user, "gives synchronous_standby_names back to the operator: the mode is off")
            : new("has no synchronous standbys to look after", new SyncStep.None(), o.Memory with { GiveBack = false });
    }

    /// <summary>What has to happen before this member, winner of the race, may promote.</summary>
    /// <param name="self">This member's name.</param>
    /// <param name="config">The dynamic configuration in force.</param>
    /// <param name="sync">The <c>sync</c> key as it stood when the race was won.</param>
    public static PromotionSyncDecision BeforePromotion(string self, DynamicConfig config, SyncState sync)
    {
        var memory = SyncMemory.Empty with { IsNewLeader = true };
        var mode = ModeOf(config);
        if (mode == SynchronousMode.Off)
        {
            return new("needs no synchronous standbys", false, null, null, SyncMemory.Empty);
        }
        var others = sync.IsActive ? NameSet.Of(sync.Standbys).Add(sync.Leader!).Remove(self) : NameSet.Empty;
        if (mode == SynchronousMode.Priority)
        {
            var waitFor = config.SynchronousModeStrict ? others : NameSet.Empty;
            var text = SyncStandbyNames.ForPriority(waitFor)
                ?? (config.SynchronousModeStrict ? SyncStandbyNames.Placeholder : null);
            // Written in priority mode, each of the others holds every acknowledged commit, and waiting for all keeps
            // that true. Voters of a quorum are not so sure.
            var certain = sync.Quorum == 0 ? waitFor : NameSet.Empty;
            return new(
                $"takes over the synchronous state with {NameSet.Text(certain)}", true, text,
                new SyncState(self, certain, 0, sync.ModRevision), memory);
        }
        var count = others.IsEmpty ? 0 : Math.Max(others.Count - sync.Quorum, config.SynchronousModeStrict ? 1 : 0);
        var names = count > 0 ? others : NameSet.Empty;
        // The former owner may return alone and win as the owner; it must not, once this member acknowledges commits.
        return new(
            $"takes over the quorum with {NameSet.Text(others)}", true, QuorumSync.Text(config, count, names),
            sync.IsOwner(self) ? null : new SyncState(self, others, others.IsEmpty ? 0 : sync.Quorum, sync.ModRevision),
            memory);
    }

    internal static SynchronousMode ModeOf(DynamicConfig config) =>
        config.StandbyCluster is null ? config.SynchronousMode : SynchronousMode.Off;

    internal static SyncStep.WriteSync Write(SyncObservation o, int quorum, ImmutableSortedSet<string> standbys) =>
        new(new SyncState(o.Self, standbys, quorum, o.Sync.ModRevision));

    internal static SyncDecision Ask(SyncObservation o, string? text, string reason) =>
        new(reason, new SyncStep.SetStandbyNames(text), o.Memory with { NamesAsked = text ?? "", AskedAt = o.Now });

    /// <summary>
    /// Remembers since when the present text is in force, and the position from which it alone counts.
    /// </summary>
    private static SyncMemory Look(SyncObservation o)
    {
        var memory = o.Memory;
        if (memory.NamesSeen != o.StandbyNames)
        {
            memory = memory with { NamesSeen = o.StandbyNames, SeenAt = o.Now, Mark = null };
        }
        else if (memory.Mark is null && o.Now - memory.SeenAt >= Settle)
        {
            memory = memory with { Mark = o.FlushLsn };
        }
        return memory.IsNewLeader
            ? memory with { IsNewLeader = false, ReconnectUntil = o.Now + o.Timing.LoopWait }
            : memory;
    }

    /// <summary>
    /// A change that was asked for is not in force yet: nothing may be built on the old text, nor be asked again at
    /// once.
    /// </summary>
    private static SyncDecision? AwaitsParameter(SyncObservation o)
    {
        if (o.Memory.NamesAsked is not { } asked || asked.Trim() == o.StandbyNames.Trim())
        {
            return null;
        }
        var elapsed = o.Now - o.Memory.AskedAt;
        return elapsed >= o.Timing.LoopWait
            ? null
            : new(
                $"waits until synchronous_standby_names is '{asked}'",
                new SyncStep.Wait(elapsed < Soon ? Settle : o.Timing.LoopWait - elapsed), o.Memory);
    }

    /// <summary>Whether the parameter in force can only come from an agent: it names members alone.</summary>
    private static bool LooksOurs(SyncObservation o)
    {
        if (!SyncStandbyNames.TryParse(o.StandbyNames, out var names) || names.Names.IsEmpty)
        {
            return false;
        }
        var members = NameSet.Of(o.Members.Keys).Add(SyncStandbyNames.Placeholder);
        return names.Names.IsSubsetOf(members);
    }
}
