using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Synchronous;

/// <summary>What the primary knows when it looks after its synchronous standbys.</summary>
/// <remarks>
/// <see cref="StandbyNames"/>, <see cref="Senders"/> and <see cref="FlushLsn"/> must come from one look at PostgreSQL
/// that began after the last step was performed; the position must not be read before the names.
/// </remarks>
public sealed record SyncObservation
{
    /// <summary>This member's name.</summary>
    public required string Self { get; init; }

    /// <summary>The dynamic configuration in force.</summary>
    public required DynamicConfig Config { get; init; }

    /// <summary>The <c>sync</c> key as it was read, or as this member's own last write left it.</summary>
    public required SyncState Sync { get; init; }

    /// <summary>The members by name.</summary>
    public required ImmutableSortedDictionary<string, Member> Members { get; init; }

    /// <summary>The rows of <c>pg_stat_replication</c>.</summary>
    public ImmutableArray<WalSender> Senders { get; init; } = [];

    /// <summary><c>synchronous_commit</c> of the server. Default <c>on</c>.</summary>
    public string SynchronousCommit { get; init; } = "on";

    /// <summary><c>synchronous_standby_names</c> in force; empty when it is not set.</summary>
    public string StandbyNames { get; init; } = "";

    /// <summary>
    /// The operator's own <c>synchronous_standby_names</c>, restored when the mode is off; null when there is none.
    /// </summary>
    public string? UserStandbyNames { get; init; }

    /// <summary>The primary's flushed WAL position.</summary>
    public required Lsn FlushLsn { get; init; }

    /// <summary>The times in force.</summary>
    public Timing Timing { get; init; } = Timing.Default;

    /// <summary>Time since some fixed moment, by a clock that never goes back.</summary>
    public required TimeSpan Now { get; init; }

    /// <summary>
    /// What the run before returned; <see cref="SyncMemory.Empty"/> at the start and after every promotion.
    /// </summary>
    public SyncMemory Memory { get; init; } = SyncMemory.Empty;
}
