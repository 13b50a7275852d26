using Routing.Agent.Config;

namespace Routing.Simulation.Tests;

// What a schedule says about servers, their data and their guards.
internal sealed partial record SimOptions
{
    /// <summary>Whether the members need the machine's watchdog.</summary>
    public WatchdogMode Watchdog { get; init; } = WatchdogMode.Off;

    /// <summary>The dynamic configuration is there before the first member is.</summary>
    public bool ConfigExists { get; init; }

    /// <summary>A standby that was started answers before it has replayed what its directory holds.</summary>
    public bool ReplaysLate { get; init; }

    /// <summary>How long a fault lasts at most, in seconds; 0: two ttls.</summary>
    public int Lasting { get; init; }

    /// <summary>
    /// Servers remove WAL that no slot needs, and a consumer reads from a permanent logical slot.
    /// </summary>
    public bool HasSlots { get; init; }

    // --- planted bugs -----------------------------------------------------------------------------------------------

    /// <summary>The mark of an unfinished directory is not looked at.</summary>
    public bool ForgetsUnfinished { get; init; }

    /// <summary>A mark of an unfinished directory counts whatever stands there by now.</summary>
    public bool TrustsAnyUnfinishedMark { get; init; }

    /// <summary>A standby that was restarted votes with its replay position.</summary>
    public bool VotesWithReplay { get; init; }

    /// <summary>An interrupted rewind leaves no mark, and neither does a comparison.</summary>
    public bool LeavesNoMark { get; init; }

    /// <summary>A restore ends so many records behind its target; negative: ahead of it.</summary>
    public int RestoresShifted { get; init; }

    /// <summary>A restore that is over leaves the restored data where they are, and only its mark goes.</summary>
    public bool PutsNothingBack { get; init; }

    /// <summary>Slots that nobody streams from are dropped.</summary>
    public bool DropsUnusedSlots { get; init; }

    /// <summary>Logical slots are wanted, and nobody makes them.</summary>
    public bool MakesNoLogicalSlots { get; init; }

    /// <summary>A standby advances its copies of logical slots to what it has replayed.</summary>
    public bool AdvancesToReplay { get; init; }

    /// <summary>
    /// A standby tells its leader nothing of its slots, and takes it for granted that the leader keeps what they need.
    /// </summary>
    public bool AssumesFeedback { get; init; }

    /// <summary>A server in single-user mode is taken for a postmaster.</summary>
    public bool AdoptsSingleUser { get; init; }

    /// <summary>Crash recovery in single-user mode always takes longer than loop_wait.</summary>
    public bool RecoveryIsSlow { get; init; }

    /// <summary>Copies and rewinds always take this long; null: what the weather makes of them.</summary>
    public TimeSpan? CopyTime { get; init; }

    /// <summary>A stop because the lease runs out waits for the checkpoint and the hook, too.</summary>
    public bool StopsAreNeverUrgent { get; init; }

    /// <summary>Whatever is wrong with the watchdog counts as nothing.</summary>
    public bool IgnoresWatchdog { get; init; }

    /// <summary>
    /// A program that reads from another server gives it up when it is silent. False: it waits for ever.
    /// </summary>
    public bool GivesSilentSourcesUp { get; init; } = true;
}
