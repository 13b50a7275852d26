using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Rewind;

/// <summary>What is known about the local data and about the primary that it shall follow.</summary>
public sealed record DivergenceObservation
{
    /// <summary>The local timeline.</summary>
    public required uint LocalTimeline { get; init; }

    /// <summary>In recovery: the replayed position. Former primary: the latest checkpoint.</summary>
    public required Lsn LocalLsn { get; init; }

    /// <summary>Whether the local data was in recovery (a standby), and not a primary that was shut down.</summary>
    public required bool WasInRecovery { get; init; }

    /// <summary>The primary's timeline.</summary>
    public required uint PrimaryTimeline { get; init; }

    /// <summary>The primary's timeline history; only looked at when the primary is on a higher timeline.</summary>
    public ImmutableArray<TimelineSwitch> PrimaryHistory { get; init; } = [];

    /// <summary>Where the record of the shutdown checkpoint ends; null when it could not be found.</summary>
    public Lsn? ShutdownCheckpointEnd { get; init; }
}

/// <summary>Whether the local data left the primary's history.</summary>
/// <param name="IsDiverged">A rewind (or a new copy) is needed.</param>
/// <param name="Reason">One sentence for the operator.</param>
public sealed record DivergenceDecision(bool IsDiverged, string Reason);

/// <summary>Compares local data with the history of a primary.</summary>
public static class DivergenceCheck
{
    /// <summary>Whether <see cref="Decide"/> will ask for <see cref="DivergenceObservation.PrimaryHistory"/>.</summary>
    public static bool NeedsHistory(uint localTimeline, uint primaryTimeline) => localTimeline < primaryTimeline;

    /// <summary>
    /// Whether <see cref="Decide"/> will ask for <see cref="DivergenceObservation.ShutdownCheckpointEnd"/>.
    /// </summary>
    public static bool NeedsShutdownCheckpointEnd(DivergenceObservation o) =>
        !o.WasInRecovery && SwitchPoint(o) is { } end && o.LocalLsn < end;

    /// <summary>Whether the local data has to be rewound before it can follow the primary.</summary>
    public static DivergenceDecision Decide(DivergenceObservation o)
    {
        if (o.LocalTimeline > o.PrimaryTimeline)
        {
            return new(
                true, $"is on timeline {o.LocalTimeline}, which the primary on {o.PrimaryTimeline} never reached");
        }
        if (o.LocalTimeline == o.PrimaryTimeline)
        {
            return new(false, $"is on the primary's timeline {o.LocalTimeline}");
        }
        if (SwitchPoint(o) is not { } end)
        {
            return new(true, $"is on timeline {o.LocalTimeline}, which the primary's history does not contain");
        }
        if (o.WasInRecovery)
        {
            return o.LocalLsn > end
                ? new(true, $"replayed up to {o.LocalLsn}, beyond {end} where timeline {o.LocalTimeline} ended")
                : new(false, $"replayed up to {o.LocalLsn}, not beyond {end} where timeline {o.LocalTimeline} ended");
        }
        if (o.LocalLsn >= end)
        {
            return new(
                true, $"wrote a checkpoint at {o.LocalLsn}, not before {end} where timeline {o.LocalTimeline} ended");
        }
        return o.ShutdownCheckpointEnd switch
        {
            { } recordEnd when recordEnd == end =>
                new(false, $"shut down with its last record ending at {end}, where timeline {o.LocalTimeline} ended"),
            { } recordEnd =>
                new(true,
                    $"shut down with its last record ending at {recordEnd}, not at {end} where timeline "
                        + $"{o.LocalTimeline} ended"),
            null => new(
                true, $"can't find the end of its shutdown checkpoint, and timeline {o.LocalTimeline} ended at {end}"),
        };
    }

    private static Lsn? SwitchPoint(DivergenceObservation o)
    {
        if (!NeedsHistory(o.LocalTimeline, o.PrimaryTimeline))
        {
            return null;
        }
        foreach (var line in o.PrimaryHistory)
        {
            if (line.Timeline == o.LocalTimeline)
            {
                return line.SwitchPoint;
            }
        }
        return null;
    }
}
