using Routing.Ha;
using Xunit;
using static Routing.Simulation.Tests.Planted;

namespace Routing.Simulation.Tests;

/// <summary>Bugs about replication slots and sites: each is planted, and found.</summary>
public sealed class PlantedSlotBugTests
{
    [Fact]
    public void Slots_that_are_dropped_while_their_member_is_away_are_found() =>
        Finds("has removed it", Scenario.WithSlots with { DropsUnusedSlots = true, Faults = [Fault.KillNode] });

    [Fact]
    public void A_logical_slot_that_goes_ahead_of_its_consumer_is_found() =>
        Finds("ahead of its consumer", Scenario.WithSlots with { AdvancesToReplay = true, Faults = [] });

    [Fact]
    public void A_consumer_whose_slot_is_never_made_is_found() =>
        Finds("gets nothing any more", Scenario.WithSlots with { MakesNoLogicalSlots = true, Faults = [] });

    [Fact]
    public void A_slot_whose_catalog_rows_are_gone_though_it_is_said_to_be_safe_is_found() =>
        Finds("said to be safe", Scenario.WithSlots with { AssumesFeedback = true, Faults = [Fault.KillNode] });

    [Fact]
    public void A_switchover_that_ignores_the_wanted_site_is_found() => Finds("which was asked for", new SimOptions
    {
        Nodes = 4,
        Sites = 2,
        Faults = [Fault.Switchover],
        MeanPause = TimeSpan.FromSeconds(1.5),
        Spoil = (_, decision) =>
            decision.Code == "other_site" ? With(decision, new HaAction.AcquireLeader()) : decision,
    });
}
