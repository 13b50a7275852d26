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

    /// <summary>The cluster is paused, the leader is cut from the DCS, and the pause ends through another member.</summary>
    PauseAndCut,

    /// <summary>A switchover, and a crash at one of its steps.</summary>
    CrashInSwitchover,

    /// <summary>The DCS loses everything, and begins anew.</summary>
    RebuildDcs,

    /// <summary>The DCS is restored to what it held a while ago.</summary>
    RestoreDcs,
}
