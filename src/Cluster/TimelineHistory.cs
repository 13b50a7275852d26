using System.Collections.Immutable;

namespace Routing.Cluster;

/// <summary>One change of timeline.</summary>
/// <param name="Timeline">The timeline that ended.</param>
/// <param name="SwitchPoint">Where it ended.</param>
/// <param name="Reason">PostgreSQL's reason.</param>
/// <param name="Timestamp">When, as ISO text; null in old lines.</param>
/// <param name="NewLeader">The member that promoted; null in old lines.</param>
public sealed record HistoryLine(uint Timeline, Lsn SwitchPoint, string Reason, string? Timestamp, string? NewLeader);

/// <summary>The <c>history</c> key: every change of timeline that the cluster remembers, oldest first.</summary>
/// <param name="Lines">The changes.</param>
public sealed record TimelineHistory(ImmutableArray<HistoryLine> Lines)
{
    /// <summary>The cluster's present timeline by this list: 1 for an empty one, else the last one plus 1.</summary>
    public uint CurrentTimeline => Lines.IsEmpty ? 1 : Lines[^1].Timeline + 1;
}
