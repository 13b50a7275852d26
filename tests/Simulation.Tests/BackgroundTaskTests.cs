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

        leader.KeeperBreaks = new InvalidOperationException("planted");

        cluster.World.RunUntil(() => cluster.Invariants.Violation is not null, TimeSpan.FromSeconds(10));
        Assert.Contains($"the agent of {leader.Name} broke", cluster.Invariants.Violation, StringComparison.Ordinal);
        Assert.Contains("planted", cluster.Invariants.Violation, StringComparison.Ordinal);
        Assert.NotEqual(0, leader.Fence.ArmedPid);
    }

    [Fact]
    public void An_agent_whose_guard_breaks_ends_and_the_fence_stops_its_primary_before_another_leads()
    {
        for (var seed = 1; seed <= 20; seed++)
        {
            var cluster = new SimCluster(seed, new SimOptions { Faults = [Fault.KillAgent] });
            cluster.Nodes.ForEach(node => node.StartAgent());
            cluster.World.RunUntil(() => cluster.IsWhole, TimeSpan.FromSeconds(60));
            var leader = cluster.Leader!;

            (leader.GuardBreaks, leader.StaysWithoutAgent) = (new InvalidOperationException("planted"), true);
            cluster.World.RunUntil(() => leader.Agent is null, TimeSpan.FromSeconds(10));
            Assert.Null(leader.Agent);
            Assert.True(leader.AcceptsWrites);
            Assert.NotEqual(0, leader.Fence.ArmedPid);

            cluster.World.RunUntil(() => cluster.Leader is { } next && next != leader, TimeSpan.FromSeconds(60));

            Assert.NotNull(cluster.Leader);
            Assert.NotNull(leader.Fence.LastFencing);
            Assert.False(leader.AcceptsWrites);
            Assert.Null(cluster.Invariants.Violation);
        }
    }
}
