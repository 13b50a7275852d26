using System.Globalization;

namespace Routing.Cluster;

/// <summary>What a member knows of the cluster from before the store was set up anew or restored. Pure.</summary>
/// <remarks>
/// The history of the data goes on, whatever became of the store: which members are synchronous, how far the last
/// leader was, which timelines were opened. A store that lost these facts, or holds older ones, would let a member lead
/// that lacks acknowledged commits.
/// </remarks>
public static class EarlierLife
{
    /// <summary>
    /// Whether the new life has a leader of its own, so that what was before counts no more (but for the synchronous
    /// state).
    /// </summary>
    public static bool IsOver(ClusterSnapshot now) => now.Leader is not null && now.IsLeaderProven;

    /// <summary>A snapshot of the new life, completed by what was known before.</summary>
    /// <param name="now">The newest snapshot.</param>
    /// <param name="before">The last one of the life before; itself completed when that had begun the same way.</param>
    /// <param name="self">The member that looks: what it has not written in the new life, it has yet to write.</param>
    /// <param name="withMembers">Members that have not shown up in the new life count still.</param>
    public static ClusterSnapshot Complete(ClusterSnapshot now, ClusterSnapshot before, string self, bool withMembers)
    {
        // Until the synchronous state is written in the new life, the last one that was in force binds.
        var completed = before.Sync.IsActive && !now.Life.HasWritten(now.Sync.ModRevision)
            ? now with { Sync = before.Sync with { ModRevision = now.Sync.ModRevision } }
            : now;
        if (IsOver(now))
        {
            return completed;
        }
        var used = Math.Max(now.UsedTimeline, before.UsedTimeline).ToString(CultureInfo.InvariantCulture);
        return completed with
        {
            Leader = null,
            Returned = now.Leader,
            Status = now.Status with { Optime = Lsn.Max(now.Status.Optime, before.Status.Optime) },
            History = now.Timeline < before.Timeline ? before.History : now.History,
            RoutingKeys = now.RoutingKeys.SetItem(ClusterKeys.Timeline, used),
            // A request of the earlier life is not carried over.
            Failover = now.Failover is { } request && now.Life.HasWritten(request.ModRevision) ? request : null,
            Failsafe = now.Failsafe ?? before.Failsafe,
            // No member bootstraps a new cluster where one exists: its members come back.
            Initialize = now.Initialize.SystemId is null && before.Initialize.SystemId is not null
                ? before.Initialize
                : now.Initialize,
            Members = withMembers
                ? now.Members.AddRange(
                    before.Members.Where(pair => pair.Key != self && !now.Members.ContainsKey(pair.Key)))
                : now.Members,
        };
    }
}
