namespace Routing.Driver.Diagnostics;

/// <summary>What the observable instruments ask of one cluster, at each collection.</summary>
/// <param name="Cluster">The cluster's name.</param>
/// <param name="Term">The highest term that was seen; 0: none.</param>
/// <param name="HasLeader">Whether there is a member to write to.</param>
/// <param name="IsLive">Whether the source of the topology answers.</param>
/// <param name="Pools">The pools of its members.</param>
internal sealed record ClusterMeasures(
    string Cluster, Func<long> Term, Func<bool> HasLeader, Func<bool> IsLive, Func<IEnumerable<PoolMeasure>> Pools);

/// <summary>What the observable instruments tell of one pool.</summary>
/// <param name="Member">The member's name.</param>
/// <param name="Purpose"><c>write</c> or <c>read</c>.</param>
/// <param name="InUse">Connections in use, as far as they are counted.</param>
internal readonly record struct PoolMeasure(string Member, string Purpose, int InUse);
