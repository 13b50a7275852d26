using Routing.Cluster.Keys;

namespace Routing.Cluster.Tests;

/// <summary>Short ways to a snapshot.</summary>
internal static class Keys
{
    public static RawKey Raw(string key, string value, long revision = 7, long lease = 0) =>
        new(key, value, revision, revision, lease);

    public static ClusterSnapshot Read(params (string Key, string Value)[] keys) =>
        SnapshotReader.Read(7, keys.Select(key => Raw(key.Key, key.Value)));

    public static ClusterSnapshot With(this ClusterSnapshot snapshot, string key, string value) =>
        SnapshotReader.Apply(snapshot, snapshot.Revision + 1, Raw(key, value, snapshot.Revision + 1));

    public static ClusterSnapshot Without(this ClusterSnapshot snapshot, string key) =>
        SnapshotReader.Remove(snapshot, snapshot.Revision + 1, key);
}
