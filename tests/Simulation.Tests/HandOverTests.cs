using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>
/// An agent that is told to stop hands over before it ends, though its requests to the DCS get lost for a while.
/// </summary>
public sealed class HandOverTests
{
    [Fact]
    public void A_leader_that_ends_does_not_leave_its_key_to_the_lease()
    {
        for (var seed = 1; seed <= 20; seed++)
        {
            // A ttl that makes the wait for the lease far longer than anything else here.
            var cluster = new SimCluster(
                seed, new SimOptions { Ttl = 120, LoopWait = 10, RetryTimeout = 10, Faults = [Fault.CutFromDcs] });
            cluster.Nodes.ForEach(node => node.StartAgent());
            cluster.World.RunUntil(() => cluster.IsWhole, TimeSpan.FromSeconds(60));
            Assert.True(cluster.IsWhole, cluster.Describe());
            var leader = cluster.Leader!;

            Link(leader, DcsLink.RequestsLost);
            leader.Agent!.Stop();
            // Longer than the stop and each of its own tries: the last position, and the key, twice.
            cluster.World.At(TimeSpan.FromSeconds(13), () => Link(leader, DcsLink.Open));
            cluster.World.RunUntil(() => leader.Agent is null, TimeSpan.FromSeconds(60));

            Assert.Null(leader.Agent);
            Assert.NotEqual(leader.Name, cluster.Dcs.Snapshot.Leader?.Holder);
            Assert.Null(cluster.Invariants.Violation);
        }
    }

    private static void Link(SimNode node, DcsLink link)
    {
        node.DcsLink = link;
        node.ApplyLinks();
    }
}
