using Routing.Ha;
using Xunit;
using static Routing.Simulation.Tests.Planted;

namespace Routing.Simulation.Tests;

/// <summary>Bugs about what operators ask for: each is planted, and found.</summary>
public sealed class PlantedOrderBugTests
{
    [Fact]
    public void An_order_that_is_forgotten_is_found() => Finds("has never answered an operator", new SimOptions
    {
        Faults = [Fault.RestartServer],
        Spoil = (_, decision) => decision.Actions.Any(action => action is HaAction.Restart or HaAction.RefuseOrder)
            ? decision with { Actions = [], WakeIn = null }
            : decision,
    });

    [Fact]
    public void Data_that_are_started_although_they_are_to_be_replaced_are_found() =>
        Finds("an operator wants replaced", new SimOptions
    {
        MayRemoveDivergedData = true,
        Faults = [Fault.ReinitializeServer, Fault.ReinitializeServer, Fault.KillAgent, Fault.SlowCopy],
        MeanPause = TimeSpan.FromSeconds(1),
        Spoil = (_, decision) => decision.Actions is [HaAction.CopyMember { Replaces: true, OrderId: 0 }]
            ? With(decision, new HaAction.StartStandby(null))
            : decision,
    });

    [Fact]
    public void A_leader_whose_data_are_replaced_is_found() => Finds("the data of a running primary", new SimOptions
    {
        Faults = [Fault.ReinitializeServer],
        Spoil = (o, decision) => decision.Actions is [HaAction.RefuseOrder { Refusal: OrderRefusal.IsLeader } refused]
            ? With(decision, new HaAction.CopyMember(o.Cluster!.Members.Keys.First(name => name != o.Self))
            {
                Replaces = true, OrderId = refused.Id,
            })
            : decision,
    });
}
