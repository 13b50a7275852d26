using Routing.Cluster;

namespace Routing.Ha;

public static partial class HaLoop
{
    /// <summary>Rewinds that failed in a row until a copy takes their place, where that is allowed.</summary>
    internal const int MostRewinds = 5;

    /// <summary>How often a rewind is tried again when nothing else is left.</summary>
    private static readonly TimeSpan s_rewindAgain = TimeSpan.FromMinutes(5);

    /// <summary>
    /// What is known of the local data: by this agent's memory, and by the mark that an earlier life left on them.
    /// </summary>
    private static DivergenceState DivergenceOf(Observation o) => (o.Local.Damage, o.Memory.Divergence) switch
    {
        // no comparison can make it whole
        (DataDamage.HalfRewound, not DivergenceState.RewindFailed) => DivergenceState.Diverged,
        // the mark goes with a comparison alone
        (DataDamage.Diverged, DivergenceState.Fits) => DivergenceState.Unchecked,
        (_, var known) => known,
    };

    /// <summary>
    /// Why these data must not be started without a leader, and must never lead; null when nothing is known against
    /// them.
    /// </summary>
    private static string? WhyDamaged(Observation o)
    {
        if (o.Local.Damage == DataDamage.ToBeReplaced)
        {
            return "an operator has asked to replace its data";
        }
        if (o.Local.Damage == DataDamage.HalfRewound)
        {
            return "a rewind of its data was begun and not finished";
        }
        if (o.Local.Damage == DataDamage.Diverged
            || o.Memory.Divergence is DivergenceState.Diverged or DivergenceState.RewindFailed)
        {
            return "its history has diverged";
        }
        if (o.Cluster!.Failover is { IsSwitchover: false } request && request.Candidate == o.Self)
        {
            return null;   // somebody has decided by name that what the others had is to be given up
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
            if (line.Timeline == timeline)
            {
                return position > line.SwitchPoint ? line.SwitchPoint : null;
            }
        }
        // Old lines may have been dropped from the front; a number missing in between was never a part of this history.
        var before = history.Lines.LastOrDefault(line => line.Timeline < timeline);
        return before is null ? null : before.SwitchPoint;
    }
}
