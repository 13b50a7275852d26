using Routing.Cluster;
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

    /// <summary>Nothing else bounds it: the lease is renewed, and the mode is asynchronous.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_switchover_whose_stop_hangs_is_called_off(bool checkpointHangs)
    {
        var cluster = new SimCluster(1, new SimOptions { Faults = [Fault.SlowStop] });
        cluster.Nodes.ForEach(node => node.StartAgent());
        cluster.BeginClients();
        cluster.World.RunUntil(() => cluster.IsWhole, TimeSpan.FromSeconds(60));
        var leader = cluster.Leader!;
        leader.Server.StopTime = () => TimeSpan.FromHours(1);
        if (checkpointHangs)
        {
            leader.Server.Times.Checkpoint = () => TimeSpan.FromHours(1);
        }

        cluster.Dcs.Put(ClusterKeys.Failover, $$"""{"leader":"{{leader.Name}}"}""");
        // The checkpoint before the announcement and that of the stop have five minutes each.
        cluster.World.RunUntil(() => !leader.AcceptsWrites, TimeSpan.FromMinutes(10.5));
        Assert.False(leader.AcceptsWrites);
        cluster.World.RunUntil(() => cluster.Leader is not null, TimeSpan.FromSeconds(75));
        cluster.World.RunUntil(() => cluster.IsWhole, TimeSpan.FromSeconds(60));

        Assert.Null(cluster.Invariants.Violation);
        Assert.Equal(leader, cluster.Leader);
        Assert.True(cluster.IsWhole, cluster.Describe());
    }
}
