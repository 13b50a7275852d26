namespace Routing.Simulation.Tests;

/// <summary>Faults that come together in one schedule.</summary>
internal static class Mixes
{
    private static readonly Fault[] s_crashes = [Fault.KillAgent, Fault.KillPostmaster, Fault.KillNode, Fault.StopAgent,
        Fault.FreezeAgent];

    private static readonly Fault[] s_links =
        [Fault.CutFromDcs, Fault.CutFromPeers, Fault.CutOff, Fault.DcsOutage, Fault.LoseAnswers, Fault.SlowDcs,
            Fault.SlowStandby];

    private static readonly Fault[] s_servers = [Fault.KillPostmaster, Fault.FailStarts, Fault.SlowStart,
        Fault.Unresponsive];

    private static readonly Fault[] s_restarts = [Fault.RestartServer, Fault.RestartServer, Fault.PlanRestart];

    private static readonly Fault[] s_reinitializations =
        [Fault.ReinitializeServer, Fault.ReinitializeServer, Fault.ReinitializeServer];

    private static readonly Fault[] s_requests = [Fault.Switchover, Fault.Failover];

    // A pause switches the guards off: only what leaves a paused cluster with one primary happens here.
    private static readonly Fault[] s_paused =
        [Fault.Pause, Fault.Pause, Fault.DcsOutage, Fault.LoseAnswers, Fault.Switchover, Fault.Failover];

    // A node that is frozen or cut off just after a change may hold the longer lease, or the shorter one.
    private static readonly Fault[] s_times =
        [Fault.ChangeTimes, Fault.ChangeTimes, Fault.ChangeTimes, Fault.FreezeAgent, Fault.CutFromDcs, Fault.SlowDcs,
            Fault.DcsOutage, Fault.KillNode];

    private static readonly Fault[] s_ways = [Fault.CutOneWay, Fault.CutPair, Fault.Bridge, Fault.CutOneWayFromDcs];

    /// <summary>By name, so that one can be run alone.</summary>
    public static IReadOnlyDictionary<string, Fault[]> ByName { get; } = new Dictionary<string, Fault[]>
    {
        ["Calm"] = [],
        ["CalmSwitchovers"] = [Fault.Switchover],
        ["Crashes"] = s_crashes,
        ["Links"] = s_links,
        ["CrashesAndLinks"] = [.. s_crashes, .. s_links],
        ["Servers"] = [.. s_servers, .. s_crashes],
        ["Everything"] = [.. s_crashes, .. s_links, .. s_servers, .. s_requests],
        ["RequestsAndCrashes"] = [.. s_requests, .. s_crashes],
        ["RequestsAndLinks"] = [.. s_links, .. s_requests],
        ["CalmRestarts"] = [Fault.RestartServer, Fault.PlanRestart],
        ["Restarts"] = [.. s_restarts, Fault.CutFromDcs, Fault.DcsOutage, Fault.LoseAnswers, Fault.Switchover,
            Fault.SlowStart],
        ["RestartsAndCrashes"] = [.. s_restarts, Fault.KillAgent, Fault.KillPostmaster, Fault.FreezeAgent,
            Fault.StopAgent, Fault.FailStarts],
        ["PausedRestarts"] = [Fault.Pause, Fault.Pause, .. s_restarts, Fault.Switchover],
        ["CalmReinitializations"] = [Fault.ReinitializeServer, Fault.ReinitializeServer, Fault.RestartServer],
        ["Reinitializations"] =
        [
            .. s_reinitializations, Fault.KillAgent, Fault.KillNode, Fault.CutFromPeers, Fault.CutFromDcs,
            Fault.SlowCopy, Fault.Switchover,
        ],
        ["PausedReinitializations"] = [Fault.Pause, .. s_reinitializations, Fault.Switchover],
        ["Paused"] = s_paused,
        ["CalmTimes"] = [Fault.ChangeTimes],
        ["Times"] = s_times,
        ["Ways"] = [.. s_ways, Fault.CutFromDcs, Fault.SlowDcs, Fault.KillNode],
        ["WaysAndCrashes"] = [.. s_ways, .. s_crashes],
        ["Machines"] = [Fault.FreezeMachine, Fault.SuspendMachine, Fault.WallClockJump, Fault.FreezeAgent,
            Fault.KillNode, Fault.Switchover],
        // A lease that ends early leaves its holder writable for a moment: the others have to be able to ask it.
        ["Leases"] = [Fault.EndLeaseEarly, Fault.EndLeaseEarly, Fault.CutFromDcs, Fault.SlowDcs, Fault.LoseAnswers],
        ["Tags"] = [Fault.ChangeTags, Fault.ChangeTags, Fault.Switchover, Fault.KillNode, Fault.KillAgent],
        ["Members"] = [Fault.Join, Fault.Leave, Fault.Leave, Fault.KillNode, Fault.CutFromDcs, Fault.Switchover],
        ["Settings"] =
            [Fault.ChangeSettings, Fault.ChangeSettings, Fault.CutFromDcs, Fault.DcsOutage, Fault.KillAgent,
                Fault.KillNode, Fault.SlowStandby],
        ["Operators"] =
            [Fault.ChangeSettings, Fault.ChangeTags, Fault.Join, Fault.Leave, Fault.Switchover, Fault.ChangeTimes,
                .. s_crashes, .. s_links],
        ["Switchovers"] = [Fault.CrashInSwitchover, Fault.CrashInSwitchover, Fault.LoseAnswers, Fault.SlowStandby],
        ["Lives"] =
            [Fault.RebuildDcs, Fault.RestoreDcs, Fault.RestoreDcs, Fault.CutFromDcs, Fault.SlowDcs, Fault.DcsOutage,
                Fault.Switchover, Fault.KillNode],
        ["Broken"] = [Fault.BreakKeeper, Fault.KillNode, Fault.CutFromDcs, Fault.Switchover],
        ["Forged"] = [Fault.ForgedFailsafe, Fault.KillNode, Fault.CutFromDcs, Fault.KillAgent],
        ["FailsafeRestarts"] = [Fault.DcsOutage, Fault.DcsOutage, Fault.RestartAgent, Fault.RestartAgent],
        ["Failsafe"] = [Fault.ChangeFailsafe, Fault.CutFromDcs, Fault.DcsOutage, Fault.RestartAgent, Fault.KillNode],
        ["Timelines"] = [Fault.ForgedTimeline, Fault.KillNode, Fault.KillPostmaster, Fault.Switchover],
        ["Resumed"] = [Fault.PauseAndCut, Fault.PauseAndCut, Fault.PauseAndCut, Fault.SlowDcs],
    };

    /// <summary>With members that run Patroni: what it withstands without a watchdog.</summary>
    public static Fault[][] Mixed { get; } =
    [
        [Fault.Switchover, Fault.KillPostmaster],
        [Fault.KillNode, Fault.KillPostmaster, Fault.CutFromDcs, Fault.Switchover],
        [Fault.CutFromDcs, Fault.DcsOutage, Fault.LoseAnswers, Fault.Switchover],
        [Fault.KillNode, Fault.CutFromDcs, Fault.DcsOutage, Fault.LoseAnswers, Fault.Switchover, Fault.StopAgent],
    ];

    /// <summary>
    /// With members that run Patroni, whose loop hangs while their REST answers that they are primary.
    /// </summary>
    public static Fault[] Hanging { get; } = [Fault.HangLoop, Fault.HangLoop, Fault.Switchover];

    /// <summary>Operators take the cluster back in time.</summary>
    public static Fault[][] Restores { get; } =
    [
        [Fault.TakeBack],
        [Fault.TakeBack, Fault.TakeBack, Fault.CallRestoreOff, Fault.LoseRestore, Fault.BreakRepository],
        [Fault.TakeBack, Fault.TakeBack, Fault.Interrupt, Fault.Interrupt, Fault.KillAgent, Fault.SlowCopy],
        [Fault.TakeBack, Fault.TakeBack, Fault.KillNode, Fault.KillPostmaster, Fault.CallRestoreOff, Fault.Interrupt],
        [Fault.TakeBack, Fault.TakeBack, Fault.CutFromDcs, Fault.DcsOutage, Fault.LoseAnswers, Fault.SlowDcs],
        [Fault.TakeBack, Fault.TakeBack, Fault.Switchover, Fault.Switchover, Fault.KillNode, Fault.SlowCopy],
        [Fault.TakeBack, Fault.TakeBack, Fault.Pause, Fault.DcsOutage, Fault.LoseAnswers, Fault.Switchover],
        [Fault.TakeBack, Fault.TakeBack, Fault.FreezeAgent, Fault.StopAgent, Fault.CutOff, Fault.LoseRestore],
        [Fault.TakeBack, Fault.TakeBack, Fault.SlowStandby, Fault.CutFromPeers, Fault.SlowCheckpoint, Fault.SlowStart],
    ];

    /// <summary>
    /// A restore goes astray: its member is given up for lost, or the store is set up anew or goes back meanwhile.
    /// </summary>
    public static Fault[][] RestoresAstray { get; } =
    [
        [Fault.TakeBack, Fault.TakeBack, Fault.AbandonRestore],
        [Fault.TakeBack, Fault.TakeBack, Fault.AbandonRestore, Fault.KillAgent, Fault.SlowCopy, Fault.DcsOutage],
        [Fault.TakeBack, Fault.TakeBack, Fault.RebuildDcs],
        [Fault.TakeBack, Fault.TakeBack, Fault.RestoreDcs, Fault.RestoreDcs],
        [Fault.TakeBack, Fault.TakeBack, Fault.RebuildDcs, Fault.RestoreDcs, Fault.KillNode, Fault.CutFromDcs],
    ];

    /// <summary>These break something that is not mended yet: they run by name only.</summary>
    private static readonly string[] s_open = [];

    /// <summary>They say nothing without failsafe mode.</summary>
    public static bool NeedFailsafe(Fault[] faults) =>
        faults.Contains(Fault.ChangeFailsafe) || faults.Contains(Fault.RestartAgent)
            || faults.Contains(Fault.ForgedFailsafe);

    /// <summary>What every change has to withstand.</summary>
    public static Fault[][] All { get; } = [.. ByName.Where(mix => !s_open.Contains(mix.Key)).Select(mix => mix.Value)];
}
