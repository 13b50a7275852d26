using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>A server that is slow where the loop waits for it.</summary>
public sealed class SlowServerTests
{
    [Fact]
    public void A_new_leader_whose_settings_take_longer_than_its_lease_keeps_its_agent()
    {
        var needed = TimeSpan.Zero;
        var cluster = new SimCluster(1, new SimOptions { Faults = [Fault.KillNode], SettingsTake = () => needed });
        cluster.Nodes.ForEach(node => node.StartAgent());
        cluster.World.RunUntil(() => cluster.IsWhole, TimeSpan.FromSeconds(60));

        needed = TimeSpan.FromSeconds(12);
        cluster.Nodes.Single(node => node.AcceptsWrites).Kill();
        cluster.World.RunFor(TimeSpan.FromSeconds(40));

        Assert.Null(cluster.Invariants.Violation);
        Assert.True(cluster.Invariants.Terms > 1, "nobody has taken over");
    }
}
