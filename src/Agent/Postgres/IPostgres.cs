using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Slots;

namespace Routing.Agent.Postgres;

/// <summary>How a step on the local server ended.</summary>
/// <param name="Ok">The work succeeded.</param>
/// <param name="Detail">One sentence: what was done, or what went wrong and where to look.</param>
internal readonly record struct StepResult(bool Ok, string Detail)
{
    public static StepResult Done(string detail) => new(true, detail);

    public static StepResult Failed(string detail) => new(false, detail);

    /// <summary>
    /// The work failed because of something that passes: a full disk, a peer that went away. That says nothing about
    /// the data.
    /// </summary>
    public bool IsObstacle { get; init; }
}

/// <summary>How a start ended.</summary>
internal enum StartOutcome
{
    /// <summary>Accepts connections.</summary>
    Running,

    /// <summary>The time is up; the postmaster lives and is still starting (recovery).</summary>
    StillStarting,

    /// <summary>The postmaster ended, or could not be started.</summary>
    Failed,
}

/// <summary>A start of the server.</summary>
/// <param name="AsPrimary">
/// True: no recovery settings, no signal file. False: standby.signal, following <paramref name="Upstream"/>.
/// </param>
/// <param name="Upstream">Where to stream from; null: from nobody (replays what is there and stays read-only).</param>
/// <param name="Timeout">How long to wait until it accepts connections; null: <c>pg_ctl_timeout</c>.</param>
internal sealed record StartPlan(bool AsPrimary, Upstream? Upstream, TimeSpan? Timeout)
{
    /// <summary>
    /// Called with the process id as soon as there is a postmaster: a primary is guarded before it can accept a write.
    /// </summary>
    public Action<int>? OnPostmaster { get; init; }

    /// <summary>Gets a sentence now and then while the start takes long.</summary>
    public IProgress<string>? Progress { get; init; }

    /// <summary>With <see cref="Progress"/>: told every second how much WAL is replayed.</summary>
    public Action<CopyProgress>? OnReplayed { get; init; }
}

/// <summary>A copy of another member.</summary>
/// <param name="Source">Where from; null: only methods that need no source.</param>
internal sealed record ClonePlan(Member? Source)
{
    /// <summary>An operator wants the data replaced: they are marked, so that the agent goes on with it.</summary>
    public bool Replaces { get; init; }

    /// <summary>
    /// The source is the remote primary of a standby cluster: by the methods that <c>standby_cluster</c> names.
    /// </summary>
    public bool FromRemote { get; init; }

    /// <summary>By <c>pg_basebackup</c> alone, whatever methods are configured.</summary>
    public bool OnlyBaseBackup { get; init; }

    /// <summary>Told every second or two how far the copy is.</summary>
    public Action<CopyProgress>? OnCopied { get; init; }
}

/// <summary>A restore of the local data to an earlier moment.</summary>
/// <param name="Request">What it goes back to.</param>
internal sealed record RestorePlan(RestoreRequest Request)
{
    /// <summary>Told every two seconds how far it is.</summary>
    public Action<CopyProgress>? OnCopied { get; init; }
}

/// <summary>A restart of the server in its present role.</summary>
/// <param name="Stop">How it stops.</param>
/// <param name="Start">How it starts again.</param>
internal sealed record RestartPlan(StopPlan Stop, StartPlan Start)
{
    /// <summary>
    /// Asked when the server is stopped: false leaves it so, for a primary that has lost its right to be one.
    /// </summary>
    public Func<bool> MayStart { get; init; } = static () => true;
}

/// <summary>How a restart ended.</summary>
/// <param name="Outcome">How the start ended; null: the server was not stopped, or may not start again.</param>
/// <param name="Detail">One sentence: what was done, or what went wrong.</param>
internal readonly record struct RestartResult(StartOutcome? Outcome, string Detail)
{
    /// <summary>The server was stopped, and <see cref="RestartPlan.MayStart"/> did not allow its start.</summary>
    public bool MustNotStart { get; init; }
}

/// <summary>How to stop.</summary>
internal enum StopMode
{
    /// <summary>SIGINT: sessions end, a shutdown checkpoint is written.</summary>
    Fast,

    /// <summary>SIGQUIT: at once; recovery at the next start.</summary>
    Immediate,
}

/// <summary>A stop of the server.</summary>
/// <param name="Mode">How.</param>
/// <param name="Checkpoint">
/// Write a checkpoint first, so that the stop itself is short (bounded by <see cref="CheckpointLimit"/>).
/// </param>
/// <param name="EscalateAfter">
/// Not stopped by then: immediate, then kill. Null: wait for ever (fast), or 5 s (immediate).
/// </param>
internal sealed record StopPlan(StopMode Mode, bool Checkpoint = false, TimeSpan? EscalateAfter = null)
{
    /// <summary>The lease runs out: the signal comes first.</summary>
    public bool IsUrgent { get; init; }

    /// <summary>
    /// How long the checkpoint before the stop may take, while PostgreSQL still serves; then the stop begins without
    /// it. Default: as long as the stop (<see cref="EscalateAfter"/>).
    /// </summary>
    public TimeSpan? CheckpointLimit { get; init; } = EscalateAfter;

    /// <summary>
    /// How long <c>before_stop</c> may take, then it is ended; zero leaves it out. Default 5 minutes; never with
    /// <see cref="IsUrgent"/>.
    /// </summary>
    public TimeSpan BeforeStopLimit { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>A fast stop that turned immediate: how long until PostgreSQL is killed. Default 5 s.</summary>
    public TimeSpan KillAfter { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Called once when no user session is left (the safepoint: no further commit can be acknowledged).
    /// </summary>
    public Func<CancellationToken, ValueTask>? OnSafepoint { get; init; }

    /// <summary>
    /// Called once when pg_control says <i>shut down</i> while the postmaster may still wait for its WAL senders;
    /// gets the location of the shutdown checkpoint.
    /// </summary>
    public Func<Lsn, CancellationToken, ValueTask>? OnShutdownCheckpoint { get; init; }
}

/// <summary>A copy of logical slots from the leader, or from the remote primary, to this standby.</summary>
/// <param name="Leader">The leader, or the remote primary.</param>
/// <param name="Slots">The slots by name, as they are configured.</param>
/// <param name="Upstream">Where this standby streams from.</param>
internal sealed record SlotCopyPlan(
    Member Leader, ImmutableSortedDictionary<string, PermanentSlot> Slots, Upstream? Upstream)
{
    /// <summary>The leader is that of a standby cluster: its slots are copies, too.</summary>
    public bool SourceIsStandby { get; init; }

    /// <summary>The role of this member, for the callback.</summary>
    public Role Role { get; init; } = Role.Replica;
}

/// <summary>Work on logical slots that the loop does not wait for.</summary>
/// <param name="Actions">Logical slots to make or to advance.</param>
/// <param name="Question">What to ask the leader; null: nothing.</param>
internal sealed record LogicalSlotJob(ImmutableArray<SlotAction> Actions, LeaderSlotQuestion? Question);

/// <summary>How it ended.</summary>
internal sealed record LogicalSlotOutcome
{
    /// <summary>Slots that can't be advanced: their WAL is gone, or they are invalid.</summary>
    public ImmutableSortedSet<string> Broken { get; init; } =
        ImmutableSortedSet.Create<string>(StringComparer.Ordinal);

    /// <summary>The leader's answer; null: there was none.</summary>
    public LeaderSlotAnswer? Answer { get; init; }

    /// <summary>What went wrong, one sentence each.</summary>
    public ImmutableArray<string> Problems { get; init; } = [];

    /// <summary>With one problem more.</summary>
    public LogicalSlotOutcome With(string problem) => this with { Problems = Problems.Add(problem) };
}

/// <summary>What a server of the remote cluster said.</summary>
/// <param name="Address">Where it was asked.</param>
/// <param name="Problem">Why it did not answer; null: it did.</param>
internal sealed record RemoteServer(HostPort Address, string? Problem)
{
    /// <summary>The server's system identifier.</summary>
    public string? SystemId { get; init; }

    /// <summary>The server's timeline.</summary>
    public uint Timeline { get; init; }

    /// <summary>The server is in recovery: a standby.</summary>
    public bool IsInRecovery { get; init; }

    /// <summary>The end of the server's WAL: written by a primary, received by a standby.</summary>
    public Lsn Position { get; init; }
}

/// <summary>Whether the local data fit the new primary's history.</summary>
internal enum Divergence
{
    /// <summary>The local data are a part of that history: streaming can go on.</summary>
    None,

    /// <summary>The local data hold WAL that the primary does not have.</summary>
    Diverged,

    /// <summary>The primary could not be asked, or is not a primary.</summary>
    CannotTell,
}

/// <summary>The end of a divergence check.</summary>
internal readonly record struct DivergenceResult(Divergence Divergence, string Detail);

/// <summary>The verbs on the local PostgreSQL: one owner, one verb at a time (reading excepted).</summary>
/// <remarks>
/// Jobs stream their progress as short sentences. A cancelled job leaves the server in a state that the next
/// observation can tell; it never leaves helper processes behind. The exit of the postmaster is reported within
/// milliseconds through the wake-up handed to the constructor.
/// </remarks>
internal interface IPostgres
{
    /// <summary>Looks at directory, processes and, where one answers, the server. Bounded by about 2 s.</summary>
    ValueTask<LocalPostgres> ObserveAsync(CancellationToken cancellationToken);

    /// <summary>initdb or the custom method, start, roles, post-bootstrap scripts: afterwards a primary runs.</summary>
    /// <param name="progress">Gets a sentence now and then.</param>
    /// <param name="onCopied">Told every two seconds how far a user's script is.</param>
    /// <param name="cancellationToken">Ends it.</param>
    Task<StepResult> BootstrapAsync(
        IProgress<string> progress, Action<CopyProgress>? onCopied, CancellationToken cancellationToken);

    /// <summary>
    /// Stops and moves a directory aside whose bootstrap failed (<c>NAME.failed</c>), with its links.
    /// </summary>
    Task<StepResult> MoveDataDirectoryAwayAsync(CancellationToken cancellationToken);

    /// <summary>Fills the empty (or to be replaced) directory from another member. Does not start it.</summary>
    /// <param name="plan">Where from, and how.</param>
    /// <param name="progress">Short sentences.</param>
    /// <param name="cancellationToken">Stops the copy and removes what it wrote.</param>
    Task<StepResult> CloneAsync(ClonePlan plan, IProgress<string> progress, CancellationToken cancellationToken);

    /// <summary>Writes the configuration and starts the postmaster.</summary>
    Task<StartOutcome> StartAsync(StartPlan plan, CancellationToken cancellationToken);

    /// <summary>Why the last start failed, with the server's own last words; empty when it did not.</summary>
    string StartProblem => "";

    /// <summary>Stops the postmaster. Ok also when there was none.</summary>
    Task<StepResult> StopAsync(StopPlan plan, CancellationToken cancellationToken);

    /// <summary>
    /// pre_promote, promotion, and waits until the server is a primary (bounded by <paramref name="timeout"/>).
    /// </summary>
    /// <param name="usedTimeline">
    /// The highest timeline that any member may have opened: the new one is above it.
    /// </param>
    /// <param name="timeout">How long to wait until it is a primary.</param>
    /// <param name="cancellationToken">Gives up before the point of no return.</param>
    Task<StepResult> PromoteAsync(uint usedTimeline, TimeSpan timeout, CancellationToken cancellationToken);

    /// <summary>
    /// Makes a running standby stream from another upstream: by reload where the version allows, else a restart.
    /// </summary>
    Task<StepResult> FollowAsync(Upstream? upstream, CancellationToken cancellationToken);

    /// <summary>Whether the local data (running or not) fit the primary's history.</summary>
    Task<DivergenceResult> CheckDivergenceAsync(Member primary, CancellationToken cancellationToken);

    /// <summary>
    /// Asks the servers of the remote cluster what they are, as a standby would connect to them; about 10 s at most.
    /// </summary>
    Task<ImmutableArray<RemoteServer>> AskRemoteAsync(
        ImmutableArray<HostPort> hosts, CancellationToken cancellationToken);

    /// <summary>Stops the server if it runs and rewinds it to the primary's history.</summary>
    Task<StepResult> RewindAsync(Member primary, IProgress<string> progress, CancellationToken cancellationToken);

    /// <summary>
    /// Stops the server, restores the data from the repository, sets the present ones aside, and replays to the target.
    /// Afterwards a standby runs that stands still there. What was done by an earlier call is not done again.
    /// </summary>
    Task<StepResult> RestoreAsync(RestorePlan plan, IProgress<string> progress, CancellationToken cancellationToken) =>
        Task.FromResult(StepResult.Failed("cannot restore"));

    /// <summary>Stops the server and puts the data back that a restore has set aside.</summary>
    Task<StepResult> PutBackAsync(string id, IProgress<string> progress, CancellationToken cancellationToken) =>
        Task.FromResult(StepResult.Failed("cannot put anything back"));

    /// <summary>CHECKPOINT.</summary>
    Task<StepResult> CheckpointAsync(CancellationToken cancellationToken);

    /// <summary>Restarts in the present role, by request; a server that is down is started.</summary>
    Task<RestartResult> RestartAsync(RestartPlan plan, IProgress<string> progress, CancellationToken cancellationToken);

    /// <summary>Sets <c>synchronous_standby_names</c>; null restores the user's own value. Reloads.</summary>
    Task<StepResult> SetSynchronousStandbyNamesAsync(string? names, CancellationToken cancellationToken);

    /// <summary>Creates, drops and advances slots: what of a plan is quick.</summary>
    Task<StepResult> MaintainSlotsAsync(ImmutableArray<SlotAction> actions, CancellationToken cancellationToken);

    /// <summary>Makes and advances logical slots, and asks the leader about its own. Beside all other verbs.</summary>
    Task<LogicalSlotOutcome> WorkOnLogicalSlotsAsync(LogicalSlotJob job, CancellationToken cancellationToken);

    /// <summary>Copies logical slots from another server, and restarts this standby to load them.</summary>
    Task<StepResult> CopySlotsAsync(
        SlotCopyPlan plan, IProgress<string> progress, CancellationToken cancellationToken);

    /// <summary>
    /// Says whether hot_standby_feedback has to be on for the sake of logical slots; the next
    /// <see cref="ApplyConfigurationAsync"/> or start puts it into force.
    /// </summary>
    void NeedFeedback(bool isNeeded);

    /// <summary>
    /// Says whether a standby leads a standby cluster, which has settings of its own; the next
    /// <see cref="ApplyConfigurationAsync"/> or start puts them into force.
    /// </summary>
    void LeadStandbyCluster(bool leads);

    /// <summary>
    /// Takes a changed dynamic configuration (or local settings): rewrites files, reloads, finds pending restarts.
    /// </summary>
    Task<StepResult> ApplyConfigurationAsync(DynamicConfig config, bool force, CancellationToken cancellationToken);

    /// <summary>
    /// Lets a standby go on that has stopped to replay because its primary has higher limits; one that was paused by
    /// hand stays so.
    /// </summary>
    Task<StepResult> ResumeReplayAsync(CancellationToken cancellationToken) =>
        Task.FromResult(StepResult.Done("nothing is paused"));

    /// <summary>How many transactions have written; null: this server cannot tell.</summary>
    ValueTask<ServerWrites?> WritesAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult<ServerWrites?>(null);

    /// <summary>
    /// How many clients of this primary are in a transaction, replication and the agent's own sessions aside, and the
    /// oldest of them in words. Null: it did not tell.
    /// </summary>
    ValueTask<(int? Transactions, ImmutableArray<string> Oldest)> TransactionsAsync(
        CancellationToken cancellationToken);

    /// <summary>Runs a callback (on_start, on_stop, on_restart, on_reload, on_role_change) in the background.</summary>
    void RunCallback(string action, Role role);
}
