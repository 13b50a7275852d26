using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Synchronous;

/// <summary>Quorum mode: performs the first step that the resolver finds.</summary>
internal static class QuorumSync
{
    public static SyncDecision Next(SyncObservation o)
    {
        var force = SyncStandbyNames.TryParse(o.StandbyNames, out var parsed) ? parsed : SyncStandbyNames.None;
        var names = force.Standbys;
        var count = names.IsEmpty ? 0 : Math.Min(force.Count, names.Count);
        var wanted = Math.Max(1, o.Config.SynchronousNodeCount);
        var streaming = SyncCandidates.Streaming(o);
        var active = SyncCandidates.Pick(o, streaming, wanted, all: true);
        var confirmed = Confirmed(o, streaming, names);
        var voters = NameSet.Of(o.Sync.Standbys);
        if (o.Sync.IsOwner(o.Self) && !names.IsEmpty && names.Intersect(active).IsEmpty)
        {
            if (o.Memory.ReconnectUntil is { } until && o.Now < until)
            {
                return new("gives its standbys time to connect", Wait(o, until - o.Now), o.Memory);
            }
            if (o.Config.SynchronousModeStrict && active.IsEmpty)
            {
                return new($"has no standby left; commits wait for {NameSet.Text(names)}: the mode is strict",
                    new SyncStep.None(), o.Memory);
            }
        }
        var situation = new QuorumSituation
        {
            Self = o.Self,
            Leader = o.Sync.Leader!,
            Quorum = o.Sync.Quorum,
            Voters = voters,
            Count = count,
            Names = names,
            Confirmed = confirmed.Intersect(active).Count,
            Active = active,
            Wanted = wanted,
        };
        if (force.Method == SyncMethod.First && count > 0 && situation.IsSafe)
        {
            // First a commit waits for as many of the same names; other changes come in the next steps.
            return SyncPlanner.Ask(o, Text(o.Config, count, names),
                "waits for any of its standbys from now on: the mode is quorum");
        }
        foreach (var step in QuorumResolver.Steps(situation))
        {
            switch (step)
            {
                case QuorumStep.Publish p when IsNews(o, p):
                    return Publish(o, p, situation, confirmed);
                case QuorumStep.Require r when !(r.Count == count && r.Names.SetEquals(names)):
                    return Require(o, r);
                case QuorumStep.Pause:
                    return new($"waits until one of {NameSet.Text(names)} has caught up", Wait(o, SyncPlanner.Soon),
                        o.Memory);
            }
        }
        if (Text(o.Config, count, names) is { } text && !force.Means(SyncStandbyNames.Parse(text)))
        {
            return SyncPlanner.Ask(o, text, "has no standby; commits wait: the mode is strict");
        }
        return names.IsEmpty && !force.IsPlaceholder && force.Method != SyncMethod.None
            ? SyncPlanner.Ask(o, null, "has no standby to wait for")
            : Rest(o, situation);
    }

    public static string? Text(DynamicConfig config, int count, ImmutableSortedSet<string> names)
    {
        if (!names.IsEmpty && count > 0)
        {
            return SyncStandbyNames.ForQuorum(count, names);
        }
        return config.SynchronousModeStrict
            ? SyncStandbyNames.ForQuorum(1, NameSet.Of([SyncStandbyNames.Placeholder]))
            : null;
    }

    /// <summary>The names that hold every commit acknowledged before the present text came into force.</summary>
    private static ImmutableSortedSet<string> Confirmed(
        SyncObservation o, ImmutableArray<SyncCandidate> streaming, ImmutableSortedSet<string> names) =>
            o.Memory.Mark is { } mark
        ? NameSet.Of(
            from candidate in streaming
            where candidate.SyncState == "quorum" && candidate.Lsn >= mark && names.Contains(candidate.Name)
            select candidate.Name)
        : NameSet.Empty;

    private static SyncDecision Publish(
        SyncObservation o, QuorumStep.Publish step, QuorumSituation situation, ImmutableSortedSet<string> confirmed)
    {
        if (!o.Sync.IsOwner(o.Self))
        {
            return new(
                $"takes the quorum over from {o.Sync.Leader}", SyncPlanner.Write(o, step.Quorum, step.Voters),
                o.Memory with { ReconnectUntil = o.Now + o.Timing.LoopWait });
        }
        if (!IsProven(situation, step, confirmed))
        {
            return new(
                $"waits until {NameSet.Text(step.Voters.Except(confirmed))} caught up", Wait(o, SyncPlanner.Soon),
                o.Memory);
        }
        return new(
            $"lets a candidate lead that sees {step.Quorum} others of {NameSet.Text(step.Voters)}",
            SyncPlanner.Write(o, step.Quorum, step.Voters), o.Memory);
    }

    /// <summary>
    /// A last check before the key is written, independent of the resolver on purpose: any members that could win a
    /// race by the new content include one that holds each acknowledged commit, of the past and to come.
    /// </summary>
    private static bool IsProven(QuorumSituation s, QuorumStep.Publish step, ImmutableSortedSet<string> confirmed)
    {
        var future = QuorumResolver.Apply(s, step).IsSafe;
        var past = step.Voters.IsEmpty
            || step.Voters.Except(confirmed).Count <= step.Quorum
            || (!s.Voters.IsEmpty && step.Quorum >= s.Quorum + step.Voters.Except(s.Voters).Count);
        return future && past;
    }

    private static SyncDecision Require(SyncObservation o, QuorumStep.Require step) => SyncPlanner.Ask(
        o, Text(o.Config, step.Count, step.Names),
        step.Names.IsEmpty ? "waits for no standby any more" : $"waits for {step.Count} of {NameSet.Text(step.Names)}");

    private static SyncDecision Rest(SyncObservation o, QuorumSituation s) => new(
        s.Names.IsEmpty ? "has no synchronous standby" : $"keeps {s.Count} of {NameSet.Text(s.Names)} synchronous",
        new SyncStep.None(), o.Memory);

    private static SyncStep.Wait Wait(SyncObservation o, TimeSpan time)
    {
        var most = o.Memory.Mark is null ? SyncPlanner.Settle : SyncPlanner.Soon;
        return new(time < most ? time : most);
    }

    private static bool IsNews(SyncObservation o, QuorumStep.Publish step) =>
        !o.Sync.IsOwner(o.Self) || step.Quorum != o.Sync.Quorum || !step.Voters.SetEquals(o.Sync.Standbys);
}
