namespace Routing.Simulation.Tests;

/// <summary>What can go wrong in a schedule.</summary>
internal enum Fault
{
    KillAgent,
    KillPostmaster,
    KillNode,
    FreezeAgent,
    StopAgent,
    CutFromDcs,
    CutFromPeers,
    CutOff,
    DcsOutage,
    LoseAnswers,
    SlowDcs,
    SlowStandby,
    FailStarts,
    SlowStart,
    Unresponsive,
    Switchover,
    Failover,

    /// <summary>An operator asks for a restart of PostgreSQL, now.</summary>
    RestartServer,

    /// <summary>An operator plans a restart of PostgreSQL.</summary>
    PlanRestart,

    /// <summary>An operator asks for a new copy in place of a member's data.</summary>
    ReinitializeServer,

    Pause,
    ChangeTimes,

    /// <summary>Requests to the DCS arrive and answers don't, or the other way round.</summary>
    CutOneWayFromDcs,

    /// <summary>Two nodes do not reach each other; everybody else reaches both.</summary>
    CutPair,

    /// <summary>What one node sends to another is lost; the other direction is open.</summary>
    CutOneWay,

    /// <summary>One node reaches all others, and they reach nobody but that one.</summary>
    Bridge,

    /// <summary>Every process of a machine stands still, the fence among them; its clocks go on.</summary>
    FreezeMachine,

    /// <summary>A virtual machine is paused: its processes and its monotonic clock stand still.</summary>
    SuspendMachine,

    /// <summary>The loop of a member that runs Patroni hangs; its REST answers.</summary>
    HangLoop,

    /// <summary>
    /// A mistake in the code that renews the lease: its task ends with an exception that nobody expects.
    /// </summary>
    BreakKeeper,

    /// <summary>Somebody who is no leader claims to lead by failsafe mode, for a day.</summary>
    ForgedFailsafe,

    /// <summary>The agent of a standby is started anew, in no time.</summary>
    RestartAgent,

    /// <summary>A key says that a timeline is in use which nobody can have opened.</summary>
    ForgedTimeline,

    /// <summary>Failsafe mode is switched on or off.</summary>
    ChangeFailsafe,

    /// <summary>A wall clock is put forward or back by up to an hour.</summary>
    WallClockJump,

    /// <summary>The DCS ends a lease before its time.</summary>
    EndLeaseEarly,

    /// <summary>Synchronous mode, its strictness and count, failsafe mode or the allowed lag are changed.</summary>
    ChangeSettings,

    /// <summary>A member's tags are changed.</summary>
    ChangeTags,

    /// <summary>A new member comes.</summary>
    Join,

    /// <summary>A member goes, in good order or not, and may come back.</summary>
    Leave,

    /// <summary>
    /// The cluster is paused, the leader is cut from the DCS, and the pause ends through another member.
    /// </summary>
    PauseAndCut,

    /// <summary>A switchover, and a crash at one of its steps.</summary>
    CrashInSwitchover,

    /// <summary>The DCS loses everything, and begins anew.</summary>
    RebuildDcs,

    /// <summary>The DCS is restored to what it held a while ago.</summary>
    RestoreDcs,
    // --- of servers, their data and their guards ---------------------------------------------------------------------

    /// <summary>Something dies in the middle of the agent's next copy, rewind, bootstrap, start or promotion.</summary>
    Interrupt,

    /// <summary>Copies and rewinds take long.</summary>
    SlowCopy,

    /// <summary>Crash recovery in single-user mode takes longer than loop_wait.</summary>
    SlowRecovery,

    /// <summary>A CHECKPOINT takes up to a minute.</summary>
    SlowCheckpoint,

    /// <summary><c>before_stop</c> takes up to a minute.</summary>
    SlowHook,

    /// <summary>A fast stop takes up to a minute.</summary>
    SlowStop,

    /// <summary>A standby replays late on purpose.</summary>
    DelayReplay,

    /// <summary>The power fails, and the disk loses what it had promised to keep.</summary>
    PowerCut,

    /// <summary>The disk is full.</summary>
    FillDisk,

    /// <summary>A person restores a backup into a directory that an interrupted copy left.</summary>
    RestoreByHand,

    /// <summary>An operator takes the cluster back to an earlier moment.</summary>
    TakeBack,

    /// <summary>An operator calls a restore off.</summary>
    CallRestoreOff,

    /// <summary>Somebody deletes the key of a restore that could still be called off.</summary>
    LoseRestore,

    /// <summary>
    /// The member that restores is lost, and an operator lets the others lead; then it comes back all the same.
    /// </summary>
    AbandonRestore,

    /// <summary>The repository cannot be read.</summary>
    BreakRepository,

    /// <summary><c>synchronous_standby_names</c> is set elsewhere.</summary>
    PinStandbyNames,

    /// <summary>The fence ends.</summary>
    KillFence,

    /// <summary>The fence acts late.</summary>
    LateFence,

    /// <summary>The watchdog's device is missing, or refuses to be opened.</summary>
    BreakWatchdog,

    /// <summary>Opening the watchdog's device never returns.</summary>
    BlockWatchdog,
}
