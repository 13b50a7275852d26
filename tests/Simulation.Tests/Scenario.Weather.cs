namespace Routing.Simulation.Tests;

// Mixes of faults by name: ROUTING_SIM_MIX runs one alone.
internal static partial class Scenario
{
    public static IReadOnlyDictionary<string, Fault[]> Mixes { get; } = new Dictionary<string, Fault[]>
    {
        ["Ways"] = [Fault.CutOneWay, Fault.CutPair, Fault.Bridge, Fault.CutOneWayFromDcs, Fault.CutFromDcs, Fault.SlowDcs, Fault.KillNode],
        ["WaysAndCrashes"] = [Fault.CutOneWay, Fault.CutPair, Fault.Bridge, Fault.CutOneWayFromDcs, .. s_crashes],
        ["Machines"] = [Fault.FreezeMachine, Fault.SuspendMachine, Fault.WallClockJump, Fault.FreezeAgent, Fault.KillNode, Fault.Switchover],
        // A lease that ends early leaves its holder writable for a moment: the others have to be able to ask it.
        ["Leases"] = [Fault.EndLeaseEarly, Fault.EndLeaseEarly, Fault.CutFromDcs, Fault.SlowDcs, Fault.LoseAnswers],
        ["Tags"] = [Fault.ChangeTags, Fault.ChangeTags, Fault.Switchover, Fault.KillNode, Fault.KillAgent],
        ["Members"] = [Fault.Join, Fault.Leave, Fault.Leave, Fault.KillNode, Fault.CutFromDcs, Fault.Switchover],
        ["Settings"] = [Fault.ChangeSettings, Fault.ChangeSettings, Fault.CutFromDcs, Fault.DcsOutage, Fault.KillAgent, Fault.KillNode, Fault.SlowStandby],
        ["Operators"] = [Fault.ChangeSettings, Fault.ChangeTags, Fault.Join, Fault.Leave, Fault.Switchover, Fault.ChangeTimes, .. s_crashes, .. s_links],
        ["Switchovers"] = [Fault.CrashInSwitchover, Fault.CrashInSwitchover, Fault.LoseAnswers, Fault.SlowStandby],
        ["Resumed"] = [Fault.PauseAndCut, Fault.PauseAndCut, Fault.PauseAndCut, Fault.SlowDcs],
    };

    /// <summary>Mixes that break something which is not mended yet: they run by name only.</summary>
    private static readonly string[] s_open = ["Leases", "Resumed"];
}
