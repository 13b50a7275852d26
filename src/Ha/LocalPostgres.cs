using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha.Health;
using Routing.Ha.Slots;
using Routing.Ha.Synchronous;

namespace Routing.Ha;

/// <summary>The content of the data directory.</summary>
public enum DataDirectory
{
    /// <summary>Missing, or without a file.</summary>
    Empty,

    /// <summary>A PostgreSQL data directory.</summary>
    Ready,

    /// <summary>The directory cannot be read, or holds something else.</summary>
    Inaccessible,
}

/// <summary>The state of the local server's processes.</summary>
public enum ServerState
{
    /// <summary>No postmaster.</summary>
    Stopped,

    /// <summary>A postmaster that does not accept connections yet.</summary>
    Starting,

    /// <summary>Accepts connections; the monitoring query was answered.</summary>
    Running,

    /// <summary>A postmaster that should answer and does not; role and positions are the last known ones.</summary>
    Unresponsive,
}

/// <summary>"Database cluster state" of pg_controldata.</summary>
public enum ControlState
{
    /// <summary>Not read, or a text that we do not know.</summary>
    Unknown,

    /// <summary><c>starting up</c></summary>
    StartingUp,

    /// <summary><c>shut down</c></summary>
    ShutDown,

    /// <summary><c>shut down in recovery</c></summary>
    ShutDownInRecovery,

    /// <summary><c>shutting down</c></summary>
    ShuttingDown,

    /// <summary><c>in crash recovery</c></summary>
    InCrashRecovery,

    /// <summary><c>in archive recovery</c></summary>
    InArchiveRecovery,

    /// <summary><c>in production</c></summary>
    InProduction,
}

/// <summary>What is known against the local data, by a mark that stands in the data directory.</summary>
public enum DataDamage
{
    /// <summary>Nothing is known against them.</summary>
    None,

    /// <summary>
    /// The data have diverged from a primary's history. Only a comparison with another primary removes this mark.
    /// </summary>
    Diverged,

    /// <summary>A rewind was begun and has not ended well: only another rewind, or a copy, makes them whole.</summary>
    HalfRewound,

    /// <summary>An operator asked to replace them by a copy, and no copy has taken their place yet.</summary>
    ToBeReplaced,

    /// <summary>
    /// The data were restored to an earlier moment, and are not promoted yet: only the restore may start them. Or the
    /// data that they replace were put aside, and nothing is in their place.
    /// </summary>
    Restored,
}

/// <summary>What pg_controldata says of the data directory.</summary>
/// <param name="SystemId">Database system identifier.</param>
/// <param name="State">Cluster state.</param>
/// <param name="Timeline">Latest checkpoint's TimeLineID.</param>
/// <param name="Checkpoint">Latest checkpoint location.</param>
/// <param name="MinimumRecoveryEnd">Minimum recovery ending location; 0/0 for a primary.</param>
/// <param name="MinimumRecoveryTimeline">The timeline of that position; 0 for a primary.</param>
/// <param name="DataChecksums">Whether pages carry checksums.</param>
/// <param name="WalLogHints">wal_log_hints at the last start.</param>
public sealed record ControlFile(
    string SystemId, ControlState State, uint Timeline, Lsn Checkpoint,
    Lsn MinimumRecoveryEnd, uint MinimumRecoveryTimeline, bool DataChecksums, bool WalLogHints);

/// <summary>Where a standby streams from.</summary>
/// <param name="Address">Host and port.</param>
/// <param name="SlotName">The slot it uses there; null for none.</param>
public sealed record Upstream(HostPort Address, string? SlotName)
{
    /// <summary>
    /// Further addresses of the same remote cluster: the one of them all that accepts writes is followed. Empty: the
    /// server at <see cref="Address"/> is followed, whatever it is.
    /// </summary>
    public ImmutableArray<HostPort> Others { get; init; } = [];

    /// <summary>Every address, in the order in which they are tried.</summary>
    public ImmutableArray<HostPort> Addresses => [Address, .. Others];

    /// <summary>Equal when all is, the addresses compared one by one.</summary>
    public bool Equals(Upstream? other) =>
        other is not null && Address == other.Address && SlotName == other.SlotName
        && Others.SequenceEqual(other.Others);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Address, SlotName, Others.Length);

    /// <inheritdoc/>
    public override string ToString() => string.Join(" or ", Addresses);
}

/// <summary>One row of pg_stat_replication.</summary>
public sealed record StandbyRow(
    string ApplicationName, string? User, string? ClientAddress, string State, string SyncState, int SyncPriority,
    Lsn? SentLsn, Lsn? WriteLsn, Lsn? FlushLsn, Lsn? ReplayLsn)
{
    /// <summary>The row as the synchronous planner wants it.</summary>
    public WalSender ToSender() => new(ApplicationName, State, SyncState, WriteLsn, FlushLsn, ReplayLsn);
}

/// <summary>What the agent sees of its own PostgreSQL.</summary>
public sealed record LocalPostgres
{
    /// <summary>The data directory.</summary>
    public DataDirectory Data { get; init; }

    /// <summary>Why the data directory is not accessible, in one sentence.</summary>
    public string? DataProblem { get; init; }

    /// <summary>pg_control; null when the directory is empty or it could not be read.</summary>
    public ControlFile? Control { get; init; }

    /// <summary>The mark on the data. Marked data are never started without a leader, and never lead.</summary>
    public DataDamage Damage { get; init; }

    /// <summary>The restore that <see cref="DataDamage.Restored"/> data belong to; null: they do not.</summary>
    public string? RestoreId { get; init; }

    /// <summary>Processes.</summary>
    public ServerState Server { get; init; }

    /// <summary>Not in recovery (by the last answer). False while stopped.</summary>
    public bool IsPrimary { get; init; }

    /// <summary>
    /// This very postmaster was asked to promote, which cannot be taken back: whatever it is now, it may accept writes
    /// at any moment. Stays true while it runs.
    /// </summary>
    public bool PromotionAsked { get; init; }

    /// <summary>
    /// PostgreSQL is stopping, and its last session has ended: no further commit can be acknowledged.
    /// </summary>
    public bool SessionsHaveEnded { get; init; }

    /// <summary>
    /// Where the record of the shutdown checkpoint ends, of a primary that was shut down cleanly and is down: nothing
    /// was written beyond. Null: it runs, or it did not end so.
    /// </summary>
    public Lsn? ShutdownEnd { get; init; }

    /// <summary>standby.signal or recovery.signal stands in the data directory.</summary>
    public bool HasRecoverySignal { get; init; }

    /// <summary>
    /// Primary: its timeline; standby: that of the WAL it receives, else of pg_control. 0 when unknown.
    /// </summary>
    public uint Timeline { get; init; }

    /// <summary>
    /// Primary: flushed WAL; standby: the later of received and replayed. While stopped: by pg_control.
    /// </summary>
    public Lsn WalPosition { get; init; }

    /// <summary>
    /// Standby: the end of the WAL in its own files is not known yet. Then it may hold more than
    /// <see cref="WalPosition"/> says, and it neither races nor counts as a vote.
    /// </summary>
    public bool IsWalEndUnknown { get; init; }

    /// <summary>Standby: WAL that it has received in its life, and that stands in its files.</summary>
    public Lsn ReceivedLsn { get; init; }

    /// <summary>Standby: replayed WAL.</summary>
    public Lsn ReplayedLsn { get; init; }

    /// <summary>Standby: latest end of WAL that the sender told (latest_end_lsn).</summary>
    public Lsn LatestEndLsn { get; init; }

    /// <summary>Standby: commit time of the last replayed transaction.</summary>
    public DateTimeOffset? ReplayedTimestamp { get; init; }

    /// <summary>The WAL receiver streams.</summary>
    public bool IsStreaming { get; init; }

    /// <summary>
    /// Standby: the server that the WAL receiver is connected to; null where PostgreSQL does not tell (before 11).
    /// </summary>
    public HostPort? Sender { get; init; }

    /// <summary>A restore_command is configured: without a stream, WAL comes from the archive.</summary>
    public bool HasRestoreCommand { get; init; }

    /// <summary>Replay is paused.</summary>
    public bool ReplayPaused { get; init; }

    /// <summary>The upstream by the recovery settings of now; null: none.</summary>
    public Upstream? Following { get; init; }

    /// <summary>server_version_num, for example 150018; 0 when unknown.</summary>
    public int ServerVersion { get; init; }

    /// <summary>Process id of the postmaster; 0 for none.</summary>
    public int PostmasterPid { get; init; }

    /// <summary>When the postmaster was started.</summary>
    public DateTimeOffset? PostmasterStart { get; init; }

    /// <summary>Standbys that are connected here.</summary>
    public ImmutableArray<StandbyRow> Standbys { get; init; } = [];

    /// <summary>Replication slots here.</summary>
    public ImmutableArray<ReplicationSlot> Slots { get; init; } = [];

    /// <summary>
    /// synchronous_standby_names in force, on a primary and on a standby (it is set before a promotion).
    /// </summary>
    public string SynchronousStandbyNames { get; init; } = "";

    /// <summary>The user's own synchronous_standby_names, from the configuration; null for none.</summary>
    public string? UserSynchronousStandbyNames { get; init; }

    /// <summary>synchronous_commit in force, on a primary.</summary>
    public string SynchronousCommit { get; init; } = "on";

    /// <summary>The checkpoint after the promotion is done: pg_control is on the running timeline.</summary>
    public bool CheckpointedSincePromotion { get; init; }

    /// <summary>The newest lines of the current timeline's history file, on a primary.</summary>
    public ImmutableArray<HistoryLine> History { get; init; } = [];

    /// <summary>Parameters that wait for a restart.</summary>
    public ImmutableSortedDictionary<string, ParameterChange> PendingRestart { get; init; } =
        ImmutableSortedDictionary<string, ParameterChange>.Empty;

    /// <summary>Rewinding is possible here: switched on, and wal_log_hints or checksums are on.</summary>
    public bool RewindPossible { get; init; }

    /// <summary>A directory that cannot be rewound may be removed and cloned anew.</summary>
    public bool MayRemoveDivergedData { get; init; }

    /// <summary>A directory whose rewind failed may be removed and cloned anew.</summary>
    public bool MayRemoveAfterFailedRewind { get; init; }

    /// <summary>What the last probe of its disk showed.</summary>
    public DiskHealth Disk { get; init; } = DiskHealth.Good;

    /// <summary>False: it refuses even the agent because every connection is in use, and so it is alive.</summary>
    public bool HasFreeConnections { get; init; } = true;

    /// <summary>There is a postmaster.</summary>
    public bool HasProcess => Server != ServerState.Stopped;

    /// <summary>Running, or running and slow, as a primary: it may be acknowledging commits.</summary>
    public bool AcceptsWrites =>
        Server is ServerState.Running or ServerState.Unresponsive && IsPrimary && !SessionsHaveEnded;

    /// <summary>Running and in recovery.</summary>
    public bool IsStandby => Server is ServerState.Running or ServerState.Unresponsive && !IsPrimary;
}
