using Routing.Cluster;
using Routing.Ha;
using Xunit;
using static Routing.Simulation.Tests.Planted;

namespace Routing.Simulation.Tests;

/// <summary>Bugs about a cluster that goes back in time: each is planted, and found.</summary>
public sealed class PlantedRestoreBugTests
{
    private static SimOptions Restores => new()
    {
        PrimaryStartTimeout = 5,
        MayRemoveDivergedData = true,
        Faults = [Fault.TakeBack, Fault.TakeBack, Fault.KillNode, Fault.SlowCopy, Fault.CallRestoreOff],
        MeanPause = TimeSpan.FromSeconds(2),
        Storm = TimeSpan.FromSeconds(40),
        Patience = 90,
    };

    [Fact]
    public void A_member_that_races_while_another_restores_is_found() =>
        Finds("takes the leader key while", Restores with
    {
        Spoil = (_, decision) =>
            decision.Code == "restoring" ? With(decision, new HaAction.AcquireLeader()) : decision,
    });

    [Fact]
    public void A_member_that_leads_with_what_was_beyond_the_target_is_found() =>
        Finds("leads with WAL from beyond the target", Restores with
    {
        Spoil = (o, decision) => o.Cluster?.Restore is { Phase: RestorePhase.Promoted }
            ? HaLoop.Decide(o with { Cluster = o.Cluster with { History = null } })
            : decision,
        Faults = [Fault.TakeBack, Fault.TakeBack, Fault.KillNode, Fault.CutFromPeers],
        RewindPossible = false,
    });

    [Fact]
    public void A_restore_that_goes_too_far_back_is_found() =>
        Finds("lacks commit", Restores with { RestoresShifted = -3, Faults = [Fault.TakeBack] });

    [Fact]
    public void A_restore_that_goes_beyond_its_target_is_found() =>
        Finds("its WAL goes beyond the target", Restores with { RestoresShifted = 3 });

    [Fact]
    public void A_restore_that_is_called_off_and_puts_nothing_back_is_found() =>
        Finds("though its restore was not promoted", Restores with { PutsNothingBack = true });

    [Fact]
    public void Restored_data_that_start_as_a_primary_are_found() =>
        Finds("starts on data of a restore that has not ended", Restores with
    {
        Spoil = (_, decision) => decision.Actions is [HaAction.PutBack]
            ? With(decision, new HaAction.StartPrimary(TimeSpan.FromSeconds(60)))
            : decision,
    });

    [Fact]
    public void A_member_that_was_given_up_and_keeps_its_restored_data_is_found() =>
        Finds("though its restore was not promoted", Restores with
    {
        PutsNothingBack = true,
        Faults = [Fault.TakeBack, Fault.AbandonRestore],
    });

    [Fact]
    public void Restored_data_that_start_when_the_store_was_set_up_anew_are_found() =>
        Finds("starts on data of a restore that has not ended", Restores with
    {
        Spoil = (o, decision) => decision.Actions is [HaAction.PutBack] && o.Cluster!.Life.Number > 0
            ? With(decision, new HaAction.StartPrimary(TimeSpan.FromSeconds(60)))
            : decision,
        Faults = [Fault.TakeBack, Fault.TakeBack, Fault.RebuildDcs],
    });

    [Fact]
    public void A_request_that_came_back_with_a_store_and_is_carried_out_again_is_found() =>
        Finds("which had been carried out before", Restores with
    {
        Spoil = (o, _) => HaLoop.Decide(
            o.Cluster is { Restore: not null } cluster
                ? o with { Cluster = cluster with { Life = cluster.Life with { From = 0 } } }
                : o),
        Faults = [Fault.TakeBack, Fault.TakeBack, Fault.RestoreDcs],
    });

    [Fact]
    public void A_restore_that_never_ends_is_found() => Finds("a restore has never ended", Restores with
    {
        Spoil = (_, decision) => decision.Code == "restore_ends" ? decision with { Actions = [] } : decision,
    });

    [Fact]
    public void A_restore_that_another_leader_does_not_end_is_found() =>
        Finds("a restore has never ended", Restores with
    {
        Spoil = (o, decision) => decision.Code == "restore_ends" && o.Cluster!.Restore!.Member != o.Self
            ? decision with { Actions = [] }
            : decision,
        Faults = [Fault.TakeBack, Fault.KillNode, Fault.Switchover],
    });
}
