using System.Collections.Immutable;

namespace Routing.Cluster.Keys;

/// <summary>
/// Turns the raw keys of a cluster into a snapshot. Accepts every form that a version of Patroni has written.
/// </summary>
public static class SnapshotReader
{
    /// <summary>Reads all keys anew.</summary>
    /// <param name="revision">The revision that the keys were read at.</param>
    /// <param name="keys">The keys below the base path, by name.</param>
    /// <param name="life">The life of the store that they were read in.</param>
    public static ClusterSnapshot Read(long revision, IEnumerable<RawKey> keys, StoreLife life = default)
    {
        var snapshot = ClusterSnapshot.Empty with { Revision = revision, Life = life };
        foreach (var key in keys)
        {
            snapshot = Apply(snapshot, revision, key);
        }
        return snapshot;
    }

    /// <summary>
    /// The snapshot after one key was written. A value that can't be read becomes a problem, never an exception.
    /// </summary>
    public static ClusterSnapshot Apply(ClusterSnapshot snapshot, long revision, RawKey key)
    {
        var problems = new List<string>();
        var applied = key.Key switch
        {
            ClusterKeys.Leader => snapshot with { Leader = Leader(key, snapshot.Life.Number) },
            ClusterKeys.Config => snapshot with { Config = KeyReader.Config(key, problems) },
            ClusterKeys.Initialize =>
                snapshot with { Initialize =
                    new InitializeKey(key.Value) { ModRevision = key.ModRevision, LeaseId = key.LeaseId } },
            ClusterKeys.History => snapshot with { History = KeyReader.History(key, problems) },
            ClusterKeys.Failover => snapshot with { Failover = KeyReader.Failover(key, problems) },
            ClusterKeys.Sync => snapshot with { Sync = KeyReader.Sync(key, problems) },
            ClusterKeys.Status => snapshot with { Status = StatusReader.Status(key, problems), HasStatusKey = true },
            ClusterKeys.LegacyOptime => WithLegacyOptime(snapshot, StatusReader.Optime(key, problems)),
            ClusterKeys.Failsafe => snapshot with { Failsafe = KeyReader.Failsafe(key, problems) },
            ClusterKeys.Restore => snapshot with
            {
                Restore = KeyReader.Restore(key, problems),
                RoutingKeys = snapshot.RoutingKeys.SetItem(key.Key, key.Value),
            },
            ClusterKeys.Switchover => snapshot with
            {
                Switchover = KeyReader.Switchover(key, problems),
                RoutingKeys = snapshot.RoutingKeys.SetItem(key.Key, key.Value),
            },
            _ when RouterName(key.Key) is { } id => snapshot with
            {
                Routers = snapshot.Routers.SetItem(id, KeyReader.Router(id, key)),
                RoutingKeys = snapshot.RoutingKeys.SetItem(key.Key, key.Value),
            },
            _ when MemberName(key.Key) is { } name =>
                snapshot with { Members = snapshot.Members.SetItem(name, MemberReader.Read(name, key, problems)) },
            _ when key.Key.StartsWith(ClusterKeys.RoutingPrefix, StringComparison.Ordinal) =>
                snapshot with { RoutingKeys = snapshot.RoutingKeys.SetItem(key.Key, key.Value) },
            _ => snapshot,
        };
        return WithProblems(applied with { Revision = revision }, key.Key, problems);
    }

    /// <summary>The snapshot after one key was deleted.</summary>
    public static ClusterSnapshot Remove(ClusterSnapshot snapshot, long revision, string key)
    {
        var removed = key switch
        {
            ClusterKeys.Leader => snapshot with { Leader = null },
            ClusterKeys.Config => snapshot with { Config = null },
            ClusterKeys.Initialize => snapshot with { Initialize = default },
            ClusterKeys.History => snapshot with { History = null },
            ClusterKeys.Failover => snapshot with { Failover = null },
            ClusterKeys.Sync => snapshot with { Sync = SyncState.None },
            ClusterKeys.Status =>
                snapshot with { Status = StatusReader.FromOptime(snapshot.LegacyOptime), HasStatusKey = false },
            ClusterKeys.LegacyOptime => WithLegacyOptime(snapshot, null),
            ClusterKeys.Failsafe => snapshot with { Failsafe = null },
            ClusterKeys.Restore =>
                snapshot with { Restore = null, RoutingKeys = snapshot.RoutingKeys.Remove(key) },
            ClusterKeys.Switchover =>
                snapshot with { Switchover = null, RoutingKeys = snapshot.RoutingKeys.Remove(key) },
            _ when RouterName(key) is { } id => snapshot with
            {
                Routers = snapshot.Routers.Remove(id),
                RoutingKeys = snapshot.RoutingKeys.Remove(key),
            },
            _ when MemberName(key) is { } name => snapshot with { Members = snapshot.Members.Remove(name) },
            _ when key.StartsWith(ClusterKeys.RoutingPrefix, StringComparison.Ordinal) =>
                snapshot with { RoutingKeys = snapshot.RoutingKeys.Remove(key) },
            _ => snapshot,
        };
        return WithProblems(removed with { Revision = revision }, key, []);
    }

    /// <summary>
    /// Every key that this reader knows what to do with, besides those of the members and our own; others are ignored.
    /// </summary>
    public static ImmutableArray<string> KnownKeys { get; } =
    [
        ClusterKeys.Leader, ClusterKeys.Config, ClusterKeys.Initialize, ClusterKeys.History, ClusterKeys.Failover,
        ClusterKeys.Sync, ClusterKeys.Status, ClusterKeys.Failsafe, ClusterKeys.LegacyOptime,
    ];

    private static LeaderKey? Leader(RawKey key, int life) =>
        key.Value.Length == 0
            ? null
            : new LeaderKey(key.Value, new Term(key.CreateRevision, life), key.ModRevision, key.LeaseId);

    /// <summary>The old key counts only while the new one is missing.</summary>
    private static ClusterSnapshot WithLegacyOptime(ClusterSnapshot snapshot, Lsn? optime) =>
        snapshot with { LegacyOptime = optime,
            Status = snapshot.HasStatusKey ? snapshot.Status : StatusReader.FromOptime(optime) };

    /// <summary>The member's name when the key is "members/NAME"; keys deeper than that belong to no member.</summary>
    private static string? MemberName(string key) =>
        key.StartsWith(ClusterKeys.MembersPrefix, StringComparison.Ordinal)
        && key.Length > ClusterKeys.MembersPrefix.Length
        && key.LastIndexOf('/') == ClusterKeys.MembersPrefix.Length - 1
            ? key[ClusterKeys.MembersPrefix.Length..]
            : null;

    private static string? RouterName(string key) =>
        key.StartsWith(ClusterKeys.RoutersPrefix, StringComparison.Ordinal)
        && key.Length > ClusterKeys.RoutersPrefix.Length
            ? key[ClusterKeys.RoutersPrefix.Length..]
            : null;

    private static ClusterSnapshot WithProblems(ClusterSnapshot snapshot, string key, List<string> problems)
    {
        if (problems.Count == 0 && !snapshot.Problems.Any(problem => problem.Key == key))
        {
            return snapshot;
        }
        return snapshot with
        {
            Problems =
            [
                .. snapshot.Problems.Where(problem => problem.Key != key),
                .. problems.Select(problem => new KeyProblem(key, problem)),
            ],
        };
    }
}
