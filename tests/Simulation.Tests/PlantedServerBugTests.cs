using Routing.Agent.Config;
using Routing.Ha;
using Xunit;
using static Routing.Simulation.Tests.Planted;

namespace Routing.Simulation.Tests;

/// <summary>Bugs about servers, their data and their guards: each is planted, and found.</summary>
public sealed class PlantedServerBugTests
{
    [Fact]
    public void A_watchdog_that_is_never_called_usable_again_leaves_no_leader() =>
        Finds("no leader", Scenario.BrokenWatchdog with
    {
        Spoil = (o, decision) =>
            o.Options.WatchdogProblem is null && decision.Code == "races" ? decision with { Actions = [] } : decision,
    });

    [Fact]
    public void A_promotion_without_the_required_watchdog_is_found() => Finds("without its watchdog", new SimOptions
    {
        Watchdog = WatchdogMode.Required,
        Ttl = 10,
        RetryTimeout = 2,
        IgnoresWatchdog = true,
        MayRemoveDivergedData = true,
        Faults = [Fault.BreakWatchdog, Fault.BreakWatchdog, Fault.KillNode, Fault.Switchover],
    });

    [Fact]
    public void A_stop_that_waits_for_a_hook_while_the_lease_runs_out_is_found() =>
        Finds("accepts writes although", Scenario.WithoutFence with
    {
        StopsAreNeverUrgent = true,
    });

    [Fact]
    public void A_standby_that_lacks_too_much_and_takes_over_is_found() => Finds("lacks", Scenario.LaggingStandby with
    {
        Spoil = (_, decision) => decision.Code == "lagging" ? With(decision, new HaAction.AcquireLeader()) : decision,
    });

    [Fact]
    public void Half_made_data_that_are_started_are_found() =>
        Finds("data that are half made", Scenario.InterruptedWork with
    {
        ForgetsUnfinished = true,
        RewindPossible = false,
    });

    [Fact]
    public void A_recovery_that_is_taken_for_a_primary_never_ends() =>
        Finds("not every node came back", Scenario.InterruptedWork with
    {
        AdoptsSingleUser = true,
        RecoveryIsSlow = true,
        MayRemoveDivergedData = false,
        Faults = [Fault.KillNode, Fault.KillPostmaster],
    });

    [Fact]
    public void A_bootstrap_that_does_not_go_on_is_found() => Finds("no whole cluster came into being", new SimOptions
    {
        ConfigExists = true,
        Spoil = (_, decision) => decision.Code == "initializes" ? decision with { Actions = [] } : decision,
    });

    [Fact]
    public void A_key_that_is_held_without_leading_is_found() => Finds("and does not lead", new SimOptions
    {
        Ttl = 30,
        LoopWait = 10,
        RetryTimeout = 10,
        Spoil = (_, decision) => decision.Code == "promotes" ? decision with { Actions = [] } : decision,
        Faults = [Fault.KillNode],
        Storm = TimeSpan.FromSeconds(120),
    });

    [Fact]
    public void A_copy_that_waits_for_ever_is_found() => Finds("is busy for", new SimOptions
    {
        GivesSilentSourcesUp = false,
        CopyTime = TimeSpan.FromSeconds(20),
        PrimaryStartTimeout = 0,
        MaximumLag = 1L << 40,
        MayRemoveDivergedData = true,
        Faults = [Fault.KillPostmaster, Fault.CutFromPeers],
        MeanPause = TimeSpan.FromSeconds(15),
        Lasting = 600,
        Storm = TimeSpan.FromSeconds(400),
        Spoil = (_, decision) => decision.Actions is [HaAction.CancelJob] ? decision with { Actions = [] } : decision,
    });

    [Fact]
    public void A_voter_that_votes_with_its_replay_position_loses_commits() =>
        Finds("acknowledged in synchronous mode", Scenario.RestartedVoter with
    {
        VotesWithReplay = true,
    });

    [Fact]
    public void Half_rewound_data_that_are_started_are_found() =>
        Finds("data that are half rewound", Scenario.InterruptedWork with
    {
        LeavesNoMark = true,
    });

    [Fact]
    public void Data_restored_by_hand_that_are_removed_are_found() =>
        Finds("restored by hand are removed", Scenario.RestoredByHand with
    {
        TrustsAnyUnfinishedMark = true,
    });
}
