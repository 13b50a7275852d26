namespace Routing.Agent.Fence;

/// <summary>Why the fence had to act.</summary>
internal enum FencingReason
{
    None = 0,

    /// <summary>The agent had ended and no other had taken over before the deadline.</summary>
    AgentGone = 1,

    /// <summary>The agent was there but stopped, by a signal or a debugger.</summary>
    AgentFrozen = 2,

    /// <summary>
    /// The agent was there and ran, but did not extend the deadline: starved, hung, or cut off from the DCS.
    /// </summary>
    AgentSilent = 3,
}

/// <summary>What the fence did when a deadline had passed.</summary>
/// <param name="Number">Counts the fencings on this state file; a larger one is a newer one.</param>
/// <param name="At">When, by the wall clock.</param>
/// <param name="Reason">Why.</param>
/// <param name="PostmasterPid">Which postmaster.</param>
/// <param name="LateBy">How long after the deadline the fence began.</param>
/// <param name="Took">How long it took until no process was left.</param>
/// <param name="Killed">Processes that SIGKILL ended; 0 when SIGQUIT was enough.</param>
/// <param name="LeftOver">Processes that could not be ended within the bound (they wait for a dead disk).</param>
internal sealed record FencingReport(
    long Number,
    DateTimeOffset At,
    FencingReason Reason,
    int PostmasterPid,
    TimeSpan LateBy,
    TimeSpan Took,
    int Killed,
    int LeftOver);
