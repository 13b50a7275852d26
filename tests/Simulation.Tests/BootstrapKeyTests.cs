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
}
