using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Slots;

/// <summary>One row of <c>pg_replication_slots</c>.</summary>
public sealed record ReplicationSlot
{
    /// <summary><c>slot_name</c>.</summary>
    public required string Name { get; init; }

    /// <summary><c>slot_type</c> is <c>logical</c>.</summary>
    public bool IsLogical { get; init; }

    /// <summary><c>database</c> of a logical slot.</summary>
    public string? Database { get; init; }

    /// <summary><c>plugin</c> of a logical slot.</summary>
    public string? Plugin { get; init; }

    /// <summary><c>active</c>: a connection streams from it.</summary>
    public bool Active { get; init; }

    /// <summary><c>temporary</c>: belongs to a session and ends with it.</summary>
    public bool Temporary { get; init; }

    /// <summary><c>xmin</c>, or null.</summary>
    public uint? Xmin { get; init; }

    /// <summary><c>catalog_xmin</c>, or null.</summary>
    public uint? CatalogXmin { get; init; }

    /// <summary><c>restart_lsn</c>; null while nothing is reserved.</summary>
    public Lsn? RestartLsn { get; init; }

    /// <summary><c>confirmed_flush_lsn</c> of a logical slot.</summary>
    public Lsn? ConfirmedFlushLsn { get; init; }

    /// <summary><c>wal_status</c> is <c>lost</c>.</summary>
    public bool Lost { get; init; }

    /// <summary><c>failover</c> (PostgreSQL 17 and later).</summary>
    public bool Failover { get; init; }

    /// <summary><c>synced</c> (PostgreSQL 17 and later).</summary>
    public bool Synced { get; init; }
}

/// <summary>What this member knows when it looks after its replication slots.</summary>
public sealed record SlotObservation
{
    /// <summary>This member's name.</summary>
    public required string Self { get; init; }

    /// <summary>The cluster as the DCS holds it.</summary>
    public required ClusterSnapshot Cluster { get; init; }

    /// <summary>The dynamic configuration in force.</summary>
    public required DynamicConfig Config { get; init; }

    /// <summary>This member's own tags.</summary>
    public MemberTags Tags { get; init; } = MemberTags.Empty;

    /// <summary>This member holds the leader key (as primary or as leader of a standby cluster).</summary>
    public required bool IsLeader { get; init; }

    /// <summary>The local PostgreSQL is not in recovery.</summary>
    public required bool IsPrimary { get; init; }

    /// <summary>The local server's major version.</summary>
    public required int ServerMajor { get; init; }

    /// <summary>The local slots.</summary>
    public ImmutableArray<ReplicationSlot> Slots { get; init; } = [];

    /// <summary>Primary: the flushed position; standby: the later of received and replayed.</summary>
    public required Lsn Lsn { get; init; }

    /// <summary>Standby: the replayed position.</summary>
    public Lsn ReplayLsn { get; init; }

    /// <summary>When the local server was started.</summary>
    public DateTimeOffset? PostmasterStart { get; init; }

    /// <summary>Leader of a standby cluster: the server that it streams from; null: none now.</summary>
    public RemotePrimary? Remote { get; init; }

    /// <summary>What the work on logical slots, which goes on beside the loop, has found out.</summary>
    public LogicalSlotReport Report { get; init; } = LogicalSlotReport.None;

    /// <summary>
    /// The DCS is silent and failsafe mode is active: slots are advanced by what the leader said directly (put into
    /// <see cref="LeaderStatus.Slots"/> of the cluster), and nothing is created, dropped or published. The time counts
    /// for no absent member.
    /// </summary>
    public bool DcsIsSilent { get; init; }

    /// <summary>Time since some fixed moment, by a clock that never goes back.</summary>
    public required TimeSpan Now { get; init; }

    /// <summary>What the run before returned; <see cref="SlotMemory.Empty"/> at the start.</summary>
    public SlotMemory Memory { get; init; } = SlotMemory.Empty;
}

/// <summary>What one run of the planner hands to the next.</summary>
/// <param name="WasLeader">Whether this member held the leader key in that run.</param>
/// <param name="LastSeen">
/// Member slots: when their member was last seen together with the slot, later by as long as the DCS was silent.
/// </param>
public sealed record SlotMemory(bool WasLeader, ImmutableSortedDictionary<string, TimeSpan> LastSeen)
{
    /// <summary>When that run was.</summary>
    public TimeSpan At { get; init; }

    /// <summary>What <see cref="Ready"/> holds for; null: nothing was checked.</summary>
    public SlotGround? Ground { get; init; }

    /// <summary>Standby: the logical slots that are safe to use, should it be promoted.</summary>
    public ImmutableSortedSet<string> Ready { get; init; } =
        ImmutableSortedSet.Create<string>(StringComparer.Ordinal);

    /// <summary>
    /// Standby: the catalog_xmin that each of the leader's logical slots had when the leader was first seen to keep
    /// catalog rows for this member.
    /// </summary>
    public ImmutableSortedDictionary<string, uint> LeaderXmins { get; init; } =
        ImmutableSortedDictionary<string, uint>.Empty.WithComparers(StringComparer.Ordinal);

    /// <summary>
    /// Member of a standby cluster: since when the source of a logical slot's copy has been without that slot.
    /// </summary>
    public ImmutableSortedDictionary<string, TimeSpan> Lacking { get; init; } =
        ImmutableSortedDictionary<string, TimeSpan>.Empty.WithComparers(StringComparer.Ordinal);

    /// <summary>Nothing is remembered.</summary>
    public static readonly SlotMemory Empty =
        new(false, ImmutableSortedDictionary<string, TimeSpan>.Empty.WithComparers(StringComparer.Ordinal));
}
