namespace Routing.Cluster;

/// <summary>
/// What a member goes by when it races for the leader key: the revisions of the keys that a leader writes. A member
/// that led in between has written at least one of them: <c>sync</c> before it accepted a write, where commits wait
/// for standbys.
/// </summary>
/// <param name="SyncRevision">Of the <c>sync</c> key; 0: there was none.</param>
/// <param name="StatusRevision">Of the <c>status</c> key; 0: there was none.</param>
public readonly record struct RaceBasis(long SyncRevision, long StatusRevision)
{
    /// <summary>The revisions in a snapshot.</summary>
    public static RaceBasis Of(ClusterSnapshot cluster)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        return new(cluster.Sync.ModRevision, cluster.Status.ModRevision);
    }
}
