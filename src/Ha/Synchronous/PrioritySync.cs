using System.Collections.Immutable;

namespace Routing.Ha.Synchronous;

/// <summary>
/// Priority mode: every name in the <c>sync</c> key holds every acknowledged commit, because commits wait for each.
/// </summary>
internal static class PrioritySync
{
    private static readonly TimeSpan s_afterChange = TimeSpan.FromSeconds(2);

    public static SyncDecision Next(SyncObservation o)
    {
        var force = SyncStandbyNames.TryParse(o.StandbyNames, out var parsed) ? parsed : SyncStandbyNames.None;
        if (!o.Sync.IsOwner(o.Self) || o.Sync.Quorum != 0)
        {
            return new($"takes the synchronous state over from {o.Sync.Leader}", SyncPlanner.Write(o, 0, NameSet.Empty),
                o.Memory);
        }
        var published = NameSet.Of(o.Sync.Standbys);
        if (!published.IsSubsetOf(force.Certain))
        {
            return Publish(o, published.Intersect(force.Certain), "commits do not wait for the others");
        }
        var streaming = SyncCandidates.Streaming(o);
        var picked = SyncCandidates.Pick(o, streaming, Math.Max(1, o.Config.SynchronousNodeCount), all: false);
        if (picked.IsEmpty && o.Config.SynchronousModeStrict)
        {
            return KeepStrict(o, force, published);
        }
        var text = SyncStandbyNames.ForPriority(picked);
        if (force.Means(SyncStandbyNames.Parse(text)))
        {
            return Confirm(o, streaming, picked, published);
        }
        if (!published.IsSubsetOf(picked))
        {
            return Publish(o, published.Intersect(picked), "the others are about to leave synchronous_standby_names");
        }
        return SyncPlanner.Ask(o, text, $"waits for {NameSet.Text(picked)}");
    }

    /// <summary>The parameter is right: those that have caught up since are published.</summary>
    private static SyncDecision Confirm(
        SyncObservation o, ImmutableArray<SyncCandidate> streaming, ImmutableSortedSet<string> picked,
        ImmutableSortedSet<string> published)
    {
        var confirmed = NameSet.Of(
            from candidate in streaming
            where picked.Contains(candidate.Name)
            where published.Contains(candidate.Name)
                || (candidate.SyncState == "sync" && o.Memory.Mark is { } mark && candidate.Lsn >= mark)
            select candidate.Name);
        var missing = picked.Except(confirmed);
        if (missing.IsEmpty || o.Now - o.Memory.SeenAt >= s_afterChange)
        {
            if (!published.SetEquals(confirmed))
            {
                return Publish(o, confirmed, "they hold every acknowledged commit");
            }
            if (missing.IsEmpty)
            {
                return new(
                    picked.IsEmpty ? "has no synchronous standby" : $"keeps {NameSet.Text(picked)} synchronous",
                    new SyncStep.None(), o.Memory);
            }
        }
        return new($"waits until {NameSet.Text(missing)} caught up", new SyncStep.Wait(Rest(o)), o.Memory);
    }

    /// <summary>
    /// Strict, and no standby to wait for: commits wait for those published, or for a name that no standby has.
    /// </summary>
    private static SyncDecision KeepStrict(
        SyncObservation o, SyncStandbyNames force, ImmutableSortedSet<string> published)
    {
        var text = SyncStandbyNames.ForPriority(published) ?? SyncStandbyNames.Placeholder;
        var reason = $"has no standby left; commits wait for {NameSet.Text(published)}: the mode is strict";
        return force.Means(SyncStandbyNames.Parse(text))
            ? new(reason, new SyncStep.None(), o.Memory)
            : SyncPlanner.Ask(o, text, reason);
    }

    private static SyncDecision Publish(SyncObservation o, ImmutableSortedSet<string> names, string why) =>
        new($"lets {NameSet.Text(names)} take over in a failover: {why}", SyncPlanner.Write(o, 0, names), o.Memory);

    private static TimeSpan Rest(SyncObservation o)
    {
        if (o.Memory.Mark is null)
        {
            return SyncPlanner.Settle;
        }
        var rest = s_afterChange - (o.Now - o.Memory.SeenAt);
        return rest > TimeSpan.Zero && rest < SyncPlanner.Soon ? rest : SyncPlanner.Soon;
    }
}
