using System.Collections.Immutable;

namespace Routing.Cluster.Overview;

/// <summary>
/// What an operator wants to see of a cluster: the answer of <c>GET /cluster</c> and the table of the command line.
/// </summary>
/// <param name="Members">The members by name, in ordinal order.</param>
/// <param name="Pause">Automatic actions are suspended.</param>
/// <param name="ScheduledSwitchover">A switchover that waits for its time, or null.</param>
public sealed record ClusterOverview(
    ImmutableArray<MemberOverview> Members, bool Pause, FailoverRequest? ScheduledSwitchover)
{
    /// <summary>What the leader has announced to the routers; null: nothing.</summary>
    public SwitchoverIntent? Intent { get; init; }

    /// <summary>Computes the overview. Pure: equal snapshots give equal overviews.</summary>
    public static ClusterOverview From(ClusterSnapshot snapshot) => new(
        [.. snapshot.Members.Values.Select(member => MemberOverview.From(snapshot, member))],
        snapshot.Config?.Pause ?? false,
        snapshot.Failover is { ScheduledAt: not null } request ? request : null)
    {
        Intent = snapshot.Intent,
    };
}
