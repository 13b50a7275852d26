using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Synchronous;

/// <summary>What a synchronous commit waits for at this moment, on a primary.</summary>
public sealed record CommitWait
{
    /// <summary>The mode in force.</summary>
    public required SynchronousMode Mode { get; init; }

    /// <summary><c>synchronous_mode_strict</c>.</summary>
    public bool IsStrict { get; init; }

    /// <summary><c>synchronous_commit</c> of the server.</summary>
    public required string SynchronousCommit { get; init; }

    /// <summary><c>synchronous_standby_names</c> in force.</summary>
    public required string Names { get; init; }

    /// <summary>The primary's flushed WAL.</summary>
    public Lsn Lsn { get; init; }

    /// <summary>For how many standbys a commit waits; 0: for none.</summary>
    public int WaitsFor { get; init; }

    /// <summary>The standbys that these can be, connected or not.</summary>
    public ImmutableSortedSet<string> Of { get; init; } = NameSet.Empty;

    /// <summary>Every standby that is connected, and those of <see cref="Of"/> that are not.</summary>
    public ImmutableArray<CommitStandby> Standbys { get; init; } = [];

    /// <summary>The whole in one or two sentences.</summary>
    public required string Text { get; init; }
}

/// <summary>A standby, and what it means for a commit.</summary>
/// <param name="Name">The member's name.</param>
/// <param name="State">
/// The standby's state in <c>pg_stat_replication</c>; <c>disconnected</c> when it has no row there.
/// </param>
/// <param name="SyncState"><c>sync</c>, <c>quorum</c>, <c>potential</c>, <c>async</c>; empty without a row.</param>
/// <param name="Counts">PostgreSQL counts it for commits now.</param>
/// <param name="WriteLsn">Written there; null when unknown.</param>
/// <param name="FlushLsn">Flushed there; null when unknown.</param>
/// <param name="ReplayLsn">Replayed there; null when unknown.</param>
/// <param name="LagBytes">What it has not acknowledged at the level of the commit; null when unknown.</param>
/// <param name="IfLost">What happens to commits when it is lost, in one sentence.</param>
public sealed record CommitStandby(
    string Name, string State, string SyncState, bool Counts, Lsn? WriteLsn, Lsn? FlushLsn, Lsn? ReplayLsn,
    ulong? LagBytes, string IfLost);
