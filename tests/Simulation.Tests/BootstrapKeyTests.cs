using Routing.Cluster;
using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>
/// The key that gives a new cluster its identity is written late: the request was given up, and the bootstrap with it.
/// </summary>
public sealed class BootstrapKeyTests
{
    /// <summary>A cluster whose identity is written has its data: else nobody can ever lead it.</summary>
    /// <param name="isLost">The empty key went with its lease before the data were there.</param>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_late_write_of_the_key_never_names_data_that_were_put_aside(bool isLost)
    {
        for (var seed = 1; seed <= 60; seed++)
        {
            // Of several members another one would make the cluster as soon as the key is lost.
            var options = new SimOptions { Nodes = isLost ? 1 : 3, Faults = [Fault.KillPostmaster] };
            var cluster = new SimCluster(seed, options);
            var late = TimeSpan.FromMilliseconds(2000 + (seed * 5));
            var (isStruck, isDue) = (false, isLost);
            cluster.Decided = (node, code) =>
            {
                if (isDue && code == "busy" && cluster.Dcs.Snapshot.Initialize.IsInProgress)
                {
                    cluster.World.At(TimeSpan.Zero, () => cluster.Dcs.Delete(ClusterKeys.Initialize));
                    isDue = false;
                }
                if (isStruck || code != "initializes")
                {
                    return;
                }
                isStruck = true;
                var isFirst = true;
                node.DcsDelay = () =>
                {
                    var delay = isFirst ? late : cluster.World.Between(0.3, 6);
                    isFirst = false;
                    return delay;
                };
                node.ApplyLinks();
                cluster.World.At(TimeSpan.FromSeconds(1), () => node.Server.Kill("the test"));
            };
            cluster.Nodes.ForEach(node => node.StartAgent());

            cluster.World.RunUntil(() => cluster.IsWhole, TimeSpan.FromSeconds(120));

            Assert.True(isStruck && !isDue);
            Assert.True(cluster.IsWhole, $"seed {seed}: {cluster.Describe()}");
            Assert.Null(cluster.Invariants.Violation);
        }
    }

    /// <summary>
    /// The store is set up anew while a member makes the cluster: the revision that it remembers is one that the new
    /// life of the store does not reach for long.
    /// </summary>
    [Theory]
    [InlineData(1, "bootstraps")]
    [InlineData(3, "bootstraps")]
    [InlineData(3, "busy")]
    [InlineData(1, "initializes")]
    [InlineData(3, "initializes")]
    public void A_store_that_is_set_up_anew_during_a_bootstrap_gets_its_cluster(int nodes, string step)
    {
        for (var seed = 1; seed <= 10; seed++)
        {
            var cluster = new SimCluster(seed, new SimOptions { Nodes = nodes, Faults = [Fault.KillNode] });
            for (var write = 0; write < 3000; write++)
            {
                cluster.Dcs.Put("routing/filler", "");
            }
            var isStruck = false;
            cluster.Decided = (_, code) =>
            {
                if (!isStruck && code == step)
                {
                    isStruck = true;
                    cluster.World.At(cluster.World.Between(0, 600), cluster.Dcs.Rebuild);
                }
            };
            cluster.Nodes.ForEach(node => node.StartAgent());

            cluster.World.RunUntil(
                () => cluster.Dcs.Life > 0 && cluster.IsWhole, TimeSpan.FromSeconds(120));

            Assert.True(isStruck && cluster.Dcs.Life > 0);
            Assert.True(cluster.IsWhole, $"seed {seed}: {cluster.Describe()}");
            Assert.Null(cluster.Invariants.Violation);
        }
    }
}
