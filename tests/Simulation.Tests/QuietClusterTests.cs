using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>A cluster in which nothing happens.</summary>
public sealed class QuietClusterTests
{
    [Fact]
    public void A_view_stays_fresh_though_no_key_changes_for_longer_than_the_ttl()
    {
        var cluster = new SimCluster(1, new SimOptions());
        cluster.Nodes.ForEach(node => node.StartAgent());
        cluster.World.RunUntil(() => cluster.IsWhole, TimeSpan.FromSeconds(60));
        cluster.World.RunFor(TimeSpan.FromSeconds(30));
        var revision = cluster.Dcs.Snapshot.Revision;

        var stale = 0;
        for (var second = 0; second < 6 * cluster.Options.Ttl; second++)
        {
            cluster.World.RunFor(TimeSpan.FromSeconds(1));
            stale += cluster.Nodes.Count(node => node.Agent is SimAgent { SeesCluster: false });
        }

        Assert.Equal(revision, cluster.Dcs.Snapshot.Revision);
        Assert.Equal(0, stale);
    }
}
