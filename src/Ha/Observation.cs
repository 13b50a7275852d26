using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha;

/// <summary>What one run of the loop knew: everything that a decision may depend on.</summary>
public sealed record Observation
{
    /// <summary>This member's name.</summary>
    public required string Self { get; init; }

    /// <summary>What the local configuration allows this member.</summary>
    public MemberOptions Options { get; init; } = MemberOptions.Default;

    /// <summary>The newest snapshot; null before the DCS answered for the first time.</summary>
    public ClusterSnapshot? Cluster { get; init; }

    /// <summary>The connection that feeds <see cref="Cluster"/> is alive.</summary>
    public bool IsDcsLive { get; init; }

    /// <summary>The dynamic configuration in force (the last valid one).</summary>
    public DynamicConfig Config { get; init; } = DynamicConfig.Default;

    /// <summary>The times in force, corrected.</summary>
    public Timing Timing { get; init; } = Timing.Default;

    /// <summary>The local PostgreSQL.</summary>
    public LocalPostgres Local { get; init; } = new();

    /// <summary>This member's lease, and how long it lasts for certain.</summary>
    public LeaseView Lease { get; init; }

    /// <summary>The long job that runs now.</summary>
    public JobView? Job { get; init; }

    /// <summary>The job that ended since the last run; delivered once.</summary>
    public JobEnd? Ended { get; init; }

    /// <summary>The answers of peers; null when none were asked for yet.</summary>
    public PeerAnswers? Peers { get; init; }

    /// <summary>The clients that were in a transaction; null when it was not asked for yet.</summary>
    public ClientActivity? Activity { get; init; }

    /// <summary>
    /// When the last checkpoint began that <see cref="HaAction.BeginCheckpoint"/> has asked for and that has ended;
    /// null: none has.
    /// </summary>
    public TimeSpan? CheckpointedSince { get; init; }

    /// <summary>Failsafe mode's view.</summary>
    public FailsafeView Failsafe { get; init; }

    /// <summary>What the work on logical slots has found out.</summary>
    public Slots.LogicalSlotReport LogicalSlots { get; init; } = Ha.Slots.LogicalSlotReport.None;

    /// <summary>Monotonic time since the process started.</summary>
    public TimeSpan Now { get; init; }

    /// <summary>
    /// How long it took to see all this. A server that does not answer is waited for: what peers said before is older
    /// by that.
    /// </summary>
    public TimeSpan Took { get; init; }

    /// <summary>The wall clock: for schedules only.</summary>
    public DateTimeOffset Clock { get; init; }

    /// <summary>What an operator asks for now; null: nothing.</summary>
    public Order? Order { get; init; }

    /// <summary>The restart that waits for its time; null: none.</summary>
    public ScheduledRestart? ScheduledRestart { get; init; }

    /// <summary>The agent was told to stop.</summary>
    public bool ShutdownRequested { get; init; }

    /// <summary>What earlier runs decided to remember.</summary>
    public LoopMemory Memory { get; init; } = LoopMemory.Empty;

    /// <summary>The cluster is paused.</summary>
    public bool Paused => Config.Pause;

    /// <summary>
    /// The cluster follows a remote one: its leader is a standby, and no member of it may accept a write. A pause
    /// leaves a primary alone, also here.
    /// </summary>
    public bool IsStandbyCluster => Config.StandbyCluster is not null;

    /// <summary>This member holds the leader key, and the lease lasts longer than the safety margin.</summary>
    public bool Leads => Lease.Leads;

    /// <summary>The member that holds the leader key, as far as this member knows; null: none.</summary>
    public string? Leader => Lease.HoldsLeader ? Self : Cluster?.Leader?.Holder;

    /// <summary>The failsafe exchange allows a leader to go on without the DCS.</summary>
    public bool FailsafeHolds => Config.FailsafeMode && Failsafe.ConfirmedLeft > MarginOf(Timing.Ttl, Lease.Reserve);

    /// <summary>A fifth of the ttl, at least 0.5 s and at most 5 s.</summary>
    public static TimeSpan SafetyMarginOf(TimeSpan ttl) =>
        TimeSpan.FromSeconds(Math.Clamp(ttl.TotalSeconds / 5, 0.5, 5));

    /// <summary>The safety margin of a lease whose last part belongs to the hardware watchdog.</summary>
    /// <param name="ttl">Life of the lease.</param>
    /// <param name="reserve">
    /// Its last part, in which the watchdog may reset the machine; zero: no watchdog runs.
    /// </param>
    public static TimeSpan MarginOf(TimeSpan ttl, TimeSpan reserve) => reserve + SafetyMarginOf(ttl - reserve);
}

/// <summary>What the local configuration allows this member.</summary>
/// <param name="Tags">The member's tags.</param>
/// <param name="MayBootstrap">There is a bootstrap section: it may initialise a new cluster.</param>
/// <param name="WatchdogProblem">A required watchdog is not usable: why; null when all is well.</param>
/// <param name="CanCloneWithoutLeader">A create-replica method needs no source.</param>
public sealed record MemberOptions(
    MemberTags Tags, bool MayBootstrap, string? WatchdogProblem, bool CanCloneWithoutLeader)
{
    /// <summary>The site that it stands in, such as a data centre; null: none is configured.</summary>
    public string? Site { get; init; }

    /// <summary>A pgbackrest section says where the repository is that the cluster can be taken back from.</summary>
    public bool CanRestore { get; init; }

    /// <summary>No tags; may bootstrap.</summary>
    public static readonly MemberOptions Default = new(MemberTags.Empty, true, null, false);
}

/// <summary>This member's lease, and how long it lasts for certain.</summary>
/// <param name="HoldsLeader">By the last clear answer the leader key belongs to this member.</param>
/// <param name="Term">The term of this member's leader key, when it holds one.</param>
/// <param name="LeaderLeft">
/// Time until the key may end, from before the last good renewal was sent. Zero or less: it may have ended.
/// </param>
/// <param name="IsUncertain">
/// The last write to the leader key got no answer: this member may hold the key or not.
/// </param>
/// <param name="Ttl">Life of the lease that the key hangs on; without the key, of the next one.</param>
public readonly record struct LeaseView(
    bool HoldsLeader, Term Term, TimeSpan LeaderLeft, bool IsUncertain, TimeSpan Ttl)
{
    /// <summary>
    /// The last part of the lease, in which an active hardware watchdog may reset the machine; zero: none runs.
    /// </summary>
    public TimeSpan Reserve { get; init; }

    /// <summary>
    /// The leader key was given up, and no answer tells that it is gone: the time after which its lease has ended in
    /// any case. Zero: it is gone.
    /// </summary>
    public TimeSpan ReleaseLeft { get; init; }

    /// <summary>Time before the end of the lease at which a primary has to stop accepting writes.</summary>
    public TimeSpan SafetyMargin => Observation.MarginOf(Ttl, Reserve);

    /// <summary>The key is held, and the lease lasts longer than the safety margin.</summary>
    public bool Leads => HoldsLeader && LeaderLeft > SafetyMargin;
}

/// <summary>Answers of peers, asked together.</summary>
/// <param name="AskedAt">When (see <see cref="Observation.Now"/>).</param>
/// <param name="AnsweredAt">When the last one answered or was given up.</param>
/// <param name="Reports">By member name; a peer that did not answer is there as unreachable.</param>
public sealed record PeerAnswers(
    TimeSpan AskedAt, TimeSpan AnsweredAt, ImmutableSortedDictionary<string, PeerReport> Reports)
{
    /// <summary>
    /// The answers of these members alone; null when there are none to ask, so that what one of them said long ago
    /// counts no more.
    /// </summary>
    public PeerAnswers? From(ImmutableArray<string> names) =>
        names.IsEmpty
            ? null
            : this with { Reports = Reports.RemoveRange(Reports.Keys.Where(name => !names.Contains(name))) };
}

/// <summary>Failsafe mode's view.</summary>
/// <param name="ConfirmedLeft">Leader: how long the members' consent lasts; zero or less: there is none.</param>
/// <param name="LastAskedAt">Leader: when the members were asked last.</param>
/// <param name="PingedBy">Follower: the leader that announced itself without the DCS.</param>
/// <param name="PingLeft">Follower: how long this announcement is valid.</param>
public readonly record struct FailsafeView(
    TimeSpan ConfirmedLeft, TimeSpan? LastAskedAt, string? PingedBy, TimeSpan PingLeft)
{
    /// <summary>Leader: the members' positions by their last consents; null: none has reported.</summary>
    public ImmutableSortedDictionary<string, Lsn>? Positions { get; init; }

    /// <summary>Follower: that leader's replication slots and their positions; null: it sent none.</summary>
    public ImmutableSortedDictionary<string, Lsn>? PingSlots { get; init; }
}

/// <summary>The long jobs. One runs at a time, beside the loop.</summary>
public enum JobKind
{
    /// <summary>A new cluster.</summary>
    Bootstrap,

    /// <summary>Puts a failed bootstrap aside.</summary>
    AbandonBootstrap,

    /// <summary>A clone of another member.</summary>
    Clone,

    /// <summary>A start as primary.</summary>
    StartPrimary,

    /// <summary>A start as standby.</summary>
    StartStandby,

    /// <summary>A promotion.</summary>
    Promote,

    /// <summary>A demotion, or a stop.</summary>
    Demote,

    /// <summary>A change of upstream.</summary>
    Follow,

    /// <summary>A comparison of the local data with the primary's history.</summary>
    CheckDivergence,

    /// <summary>A question to the remote servers: whether one of them is a primary.</summary>
    AskRemote,

    /// <summary>pg_rewind.</summary>
    Rewind,

    /// <summary>A restart by request.</summary>
    Restart,

    /// <summary>A copy of another member, by request, that replaces the local data.</summary>
    Reinitialize,

    /// <summary>A standby copies logical slots from its leader, and restarts to load them.</summary>
    CopySlots,

    /// <summary>The leader restores its data to an earlier moment.</summary>
    Restore,

    /// <summary>Data that a restore has set aside come back.</summary>
    PutBack,
}

/// <summary>A running job.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="StartedAt">Since when.</param>
/// <param name="Progress">What the job reported last, as a sentence.</param>
public sealed record JobView(JobKind Kind, TimeSpan StartedAt, string Progress)
{
    /// <summary>How a <see cref="JobKind.Demote"/> stops PostgreSQL; null for every other job.</summary>
    public DemoteMode? Demotion { get; init; }

    /// <summary>The job stops PostgreSQL within a time that the lease allows, whatever PostgreSQL does.</summary>
    public bool StopsInTime => Demotion is DemoteMode.Immediate or DemoteMode.ImmediateNoLock or DemoteMode.Offline;

    /// <summary>A <see cref="JobKind.Restart"/> that starts a primary again.</summary>
    public bool RestartsPrimary { get; init; }

    /// <summary>
    /// The job ends with a primary: it may not go on without the leader key, unless the cluster is paused.
    /// </summary>
    public bool MakesPrimary => Kind is JobKind.Promote or JobKind.StartPrimary || RestartsPrimary;

    /// <summary>The member that the job reads from; null: from none.</summary>
    public string? Source { get; init; }

    /// <summary>How far a copy is; null: it does not tell, or copies nothing.</summary>
    public CopyProgress? Copied { get; init; }

    /// <summary>When it last reported progress; at first when it started.</summary>
    public TimeSpan ProgressedAt { get; init; } = StartedAt;
}

/// <summary>A job that has ended.</summary>
/// <param name="Kind">What it was.</param>
/// <param name="Result">How it ended.</param>
/// <param name="Detail">One sentence.</param>
/// <param name="EndedAt">When.</param>
public sealed record JobEnd(JobKind Kind, JobResult Result, string Detail, TimeSpan EndedAt)
{
    /// <summary>When it began.</summary>
    public TimeSpan StartedAt { get; init; } = EndedAt;
}

/// <summary>How a job ended.</summary>
public enum JobResult
{
    /// <summary>The job succeeded.</summary>
    Done,

    /// <summary>The job failed.</summary>
    Failed,

    /// <summary>The job was cancelled.</summary>
    Cancelled,

    /// <summary>A start whose time is up while the server is still starting.</summary>
    StillStarting,

    /// <summary>A divergence check: the data have diverged.</summary>
    Diverged,

    /// <summary>A divergence check that could not be made.</summary>
    CannotTell,
}
