using Routing.Cluster;

namespace Routing.Ha;

public static partial class HaLoop
{
    /// <summary>Rewinds that failed in a row until a copy takes their place, where that is allowed.</summary>
    internal const int MostRewinds = 5;

    /// <summary>
    /// The pause before another rewind, when neither a rewind nor a copy is possible by the settings.
    /// </summary>
    private static readonly TimeSpan s_rewindAgain = TimeSpan.FromMinutes(5);

    /// <summary>
    /// What is known of the local data: by this agent's memory, and by the mark that an earlier life left on them.
    /// </summary>
    private static DivergenceState DivergenceOf(Observation o) => (o.Local.Damage, o.Memory.Divergence) switch
    {
        // a comparison does not repair half-rewound data
        (DataDamage.HalfRewound, not DivergenceState.RewindFailed) => DivergenceState.Diverged,
        // only a comparison removes the mark
        (DataDamage.Diverged, DivergenceState.Fits) => DivergenceState.Unchecked,
        (_, var known) => known,
    };

    /// <summary>
    /// Why the local data must never lead, as the others are told; null when nothing is known against them. Of a server
    /// that runs the others see by timeline and position that it left the cluster's history.
    /// </summary>
    public static string? DamageOf(Observation o) =>
        o.Local.AcceptsWrites || o.Local.Data != DataDirectory.Ready ? null
        : o.Local.HasProcess || o.Cluster is null ? WhyMarked(o)
        : WhyDamaged(o);

    private static string? WhyMarked(Observation o) => (o.Local.Damage, o.Memory.Divergence) switch
    {
        (DataDamage.ToBeReplaced, _) => "an operator has asked to replace its data",
        (DataDamage.Restored, _) => "its data were restored to an earlier moment, and the restore has not ended",
        (DataDamage.HalfRewound, _) => "a rewind of its data was begun and not finished",
        (DataDamage.Diverged, _) or (_, DivergenceState.Diverged or DivergenceState.RewindFailed) =>
            "its history has diverged",
        _ => null,
    };

    /// <summary>
    /// Why these data must not be started without a leader, and must never lead; null when nothing is known against
    /// them.
    /// </summary>
    private static string? WhyDamaged(Observation o)
    {
        if (WhyMarked(o) is { } damage)
        {
            return damage;
        }
        if (o.Cluster!.Failover is { IsSwitchover: false } request && request.Candidate == o.Self)
        {
            return null;   // an operator has named this member: what the others had is given up
        }
        if (o.IsStandbyCluster)
        {
            return null;   // it follows the history of the remote cluster, which its own keys do not tell
        }
        return HasLeft(o.Cluster.History, o.Local.Timeline, o.Local.WalPosition) is { } end
            ? $"its WAL goes to {o.Local.WalPosition}, beyond {end} where the cluster left timeline {o.Local.Timeline}"
            : null;
    }

    /// <summary>
    /// Where the cluster's history left the given timeline, if the given position lies beyond; null when it does not,
    /// or is not known to.
    /// </summary>
    private static Lsn? HasLeft(TimelineHistory? history, uint timeline, Lsn position)
    {
        if (history is null || timeline == 0 || timeline >= history.CurrentTimeline)
        {
            return null;
        }
        foreach (var line in history.Lines)
        {
            if (line.Timeline == timeline && line.SwitchPoint > Lsn.Zero)
            {
                return position > line.SwitchPoint ? line.SwitchPoint : null;
            }
        }
        // Old lines may have been dropped from the front; a number missing in between, or of which nothing was taken
        // over, was never a part of this history.
        var before = history.Lines.LastOrDefault(line => line.Timeline < timeline && line.SwitchPoint > Lsn.Zero);
        return before is null ? null : before.SwitchPoint;
    }
}
