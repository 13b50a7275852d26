using Routing.Cluster;

namespace Routing.Ha;

/// <summary>What is known of the local data compared with the present primary's.</summary>
public enum DivergenceState
{
    /// <summary>Not compared since the last change that could matter.</summary>
    Unchecked,

    /// <summary>The local data are a part of the primary's history.</summary>
    Fits,

    /// <summary>The local data have diverged: a rewind or a new copy is needed.</summary>
    Diverged,

    /// <summary>The rewind failed too often: a new copy, or another try much later.</summary>
    RewindFailed,
}

/// <summary>What must be remembered between two runs of the loop: passed in, and returned with the decision.</summary>
public sealed record LoopMemory
{
    /// <summary>Nothing yet.</summary>
    public static readonly LoopMemory Empty = new();

    /// <summary>The revision of the empty initialize key that is ours, so that we bootstrap; 0: we don't.</summary>
    public long InitializeRevision { get; init; }

    /// <summary>The empty initialize key is ours: we bootstrap.</summary>
    public bool WonInitialize => InitializeRevision != 0;

    /// <summary>This member tried to create the empty initialize key; the answer may have been lost.</summary>
    public bool AskedForInitialize { get; init; }

    /// <summary>The new cluster stands; its keys are still to be written.</summary>
    public bool BootstrapDone { get; init; }

    /// <summary>The bootstrap failed: the directory is put aside, then the process ends.</summary>
    public string? BootstrapFailure { get; init; }

    /// <summary>The restore whose job was begun last; null: none was.</summary>
    public string? Restoring { get; init; }

    /// <summary>The restore whose target the running server has reached; null: none.</summary>
    public string? RestoreReached { get; init; }

    /// <summary>Why the last restore failed, with its id; null: none has.</summary>
    public (string Id, string Problem)? RestoreFailure { get; init; }

    /// <summary>A switchover was called off after the server was stopped: it starts again in place.</summary>
    public bool StaysPrimary { get; init; }

    /// <summary>When the server of this leader was first seen down.</summary>
    public TimeSpan? DownSince { get; init; }

    /// <summary>How long the start of a restart by request may take; null: as long as the configuration says.</summary>
    public TimeSpan? StartLimit { get; init; }

    /// <summary>A restart by request stopped the server, and did not start it again.</summary>
    public bool RestartFailed { get; init; }

    /// <summary>A start as primary failed since the server went down.</summary>
    public string? StartFailure { get; init; }

    /// <summary>Starts as a standby that failed in a row.</summary>
    public int FailedStandbyStarts { get; init; }

    /// <summary>Why the last one of them failed, with the server's own words; null when none did.</summary>
    public string? StandbyStartFailure { get; init; }

    /// <summary>Do not start before.</summary>
    public TimeSpan? RetryAt { get; init; }

    /// <summary>What is known of the local data.</summary>
    public DivergenceState Divergence { get; init; }

    /// <summary>The term that <see cref="Divergence"/> speaks of.</summary>
    public Term DivergenceTerm { get; init; }

    /// <summary>When the divergence was last looked at.</summary>
    public TimeSpan? DivergenceCheckedAt { get; init; }

    /// <summary>
    /// Rewinds that failed in a row; those that met a passing obstacle count in <see cref="RewindObstacles"/>.
    /// </summary>
    public int RewindFailures { get; init; }

    /// <summary>
    /// Rewinds in a row that a passing obstacle kept from their end: a source that went away, a full disk.
    /// </summary>
    public int RewindObstacles { get; init; }

    /// <summary>What the last rewind failed of, in one sentence; null when none has failed.</summary>
    public string? RewindProblem { get; init; }

    /// <summary>When the last rewind failed.</summary>
    public TimeSpan? RewindFailedAt { get; init; }

    /// <summary>
    /// What the failed rewinds were tried under: the configuration's revision, and the leader's timeline. Another one
    /// is a reason to try again.
    /// </summary>
    public (long Config, uint Timeline) RewindBasis { get; init; }

    /// <summary>When the standby was first seen not streaming.</summary>
    public TimeSpan? NotStreamingSince { get; init; }

    /// <summary>When this member released the leader key; it stays out of the race for a while.</summary>
    public TimeSpan? SteppedDownAt { get; init; }

    /// <summary>
    /// Which life of the store the last run saw (<see cref="StoreLife.Number"/>); null before the first.
    /// </summary>
    public int? Life { get; init; }

    /// <summary>The leader that the last run knew; null: none.</summary>
    public string? LastLeader { get; init; }

    /// <summary>The ttl at the last run.</summary>
    public TimeSpan LastTtl { get; init; }

    /// <summary>
    /// The store was set up anew or restored: until then a leader of its earlier life may still hold its lease, and no
    /// standby races. Null: no member can.
    /// </summary>
    public TimeSpan? EarlierLeaseUntil { get; init; }

    /// <summary>
    /// That leader, as far as it is known; when it has carried its key over, no other member can believe.
    /// </summary>
    public string? EarlierLeader { get; init; }

    /// <summary>When the cluster was first seen without a leader, after the last term that is known of.</summary>
    public TimeSpan? UnlockedSince { get; init; }

    /// <summary>What the last leader has left in the keys; null: a member leads, or the DCS is unknown.</summary>
    public RaceBasis? UnlockedBasis { get; init; }

    /// <summary>The members that were seen, also those whose key has vanished.</summary>
    public KnownMembers Members { get; init; } = KnownMembers.None;

    /// <summary>
    /// What the remote servers answered that the cluster follows no more: when, and which of them is a primary; null
    /// there: none has said so. Null: this leader has not asked.
    /// </summary>
    public (TimeSpan At, string? Primary)? RemoteAnswer { get; init; }

    /// <summary>The highest position that was published in this history.</summary>
    public PublishedPosition Published { get; init; }

    /// <summary>The term in which this member was promoted last: its history began there.</summary>
    public Term PromotedIn { get; init; }

    /// <summary>
    /// The request in the failover key, by its revision, and when it was first seen: older answers of peers say nothing
    /// about it.
    /// </summary>
    public (long Revision, TimeSpan SeenAt)? Request { get; init; }

    /// <summary>The switchover that this leader prepares; null: none.</summary>
    public SwitchoverPlan? Switchover { get; init; }

    /// <summary>Own WAL position at the previous run, for the race back-off.</summary>
    public Lsn PreviousPosition { get; init; }

    /// <summary>Promotion was asked for and is not confirmed yet.</summary>
    public bool Promoting { get; init; }

    /// <summary>
    /// Since when this leader, still a standby, tries to set its synchronous standbys for the promotion.
    /// </summary>
    public TimeSpan? PreparingSince { get; init; }

    /// <summary>Promotions that failed in a row in this term.</summary>
    public string? PromotionFailure { get; init; }

    /// <summary>No race before: a promotion failed here.</summary>
    public TimeSpan? BarredFromRaceUntil { get; init; }

    /// <summary>The role was lost by a demotion; shown until the standby runs.</summary>
    public bool Demoted { get; init; }

    /// <summary>When a checkpoint after the promotion was last asked for.</summary>
    public TimeSpan? CheckpointAskedAt { get; init; }

    /// <summary>An operator wants the leader copied, and no other member.</summary>
    public bool CopiesLeader { get; init; }

    /// <summary>Clones that failed in a row.</summary>
    public int FailedClones { get; init; }

    /// <summary>Copies of logical slots that were tried one soon after the other.</summary>
    public int SlotCopies { get; init; }

    /// <summary>When the last one of them ended.</summary>
    public TimeSpan? SlotsCopiedAt { get; init; }

    /// <summary>Since when this member, about to stop or to restart, asks to leave the synchronous set.</summary>
    public TimeSpan? LeavingSince { get; init; }

    /// <summary>
    /// Since when this agent, about to end, waits for an answer about the leader key that it gave up.
    /// </summary>
    public TimeSpan? ReleasingSince { get; init; }

    /// <summary>What is wrong with the server though its process runs.</summary>
    public Health.HealthMemory Health { get; init; } = Routing.Ha.Health.HealthMemory.None;

    /// <summary>When other members were last asked whether one could take over from an unwell server.</summary>
    public TimeSpan? HealthAskedAt { get; init; }

    /// <summary>The cluster was paused at the last run.</summary>
    public bool WasPaused { get; init; }

    /// <summary>The server has been running under this agent at least once.</summary>
    public bool HasRun { get; init; }

    /// <summary>Memory of the synchronous planner.</summary>
    public Synchronous.SyncMemory? Sync { get; init; }
}
