using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>A task that guards and breaks is noticed.</summary>
public sealed class BackgroundTaskTests
{
    [Fact]
    public void An_agent_whose_lease_keeper_breaks_ends_and_leaves_its_primary_to_the_fence()
    {
        var cluster = new SimCluster(1, new SimOptions());
        cluster.Nodes.ForEach(node => node.StartAgent());
        cluster.World.RunUntil(() => cluster.IsWhole, TimeSpan.FromSeconds(60));
        var leader = cluster.Nodes.Single(node => node.AcceptsWrites);

        ((SimAgent)leader.Agent!).Keeper.LoopIsAlive = () => throw new InvalidOperationException("planted");

        cluster.World.RunUntil(() => cluster.Invariants.Violation is not null, TimeSpan.FromSeconds(10));
        Assert.Contains($"the agent of {leader.Name} broke", cluster.Invariants.Violation, StringComparison.Ordinal);
        Assert.Contains("planted", cluster.Invariants.Violation, StringComparison.Ordinal);
        Assert.NotEqual(0, leader.Fence.ArmedPid);
    }
}
