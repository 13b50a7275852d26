using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests.Migration;

/// <summary>Clusters in which agents of ours and Patroni's run side by side.</summary>
internal static class MixedCluster
{
    /// <summary>Whether the long choice of drills runs.</summary>
    public static bool IsFull => Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") is { Length: > 0 };

    /// <summary>The smallest times that Patroni takes.</summary>
    public static TestClusterOptions Options(int nodes, JsonObject? dcs = null)
    {
        var times = new JsonObject { ["retry_timeout"] = 3 };
        foreach (var (key, value) in dcs ?? [])
        {
            times[key] = value?.DeepClone();
        }
        return new() { Nodes = nodes, Ttl = 20, Dcs = times };
    }

    /// <summary>Starts a cluster; the first member makes it.</summary>
    /// <param name="package">Patroni.</param>
    /// <param name="members">A letter for each member: R, ours; P, Patroni; -, one that is not started.</param>
    /// <param name="dcs">Added to the dynamic configuration.</param>
    public static async Task<TestCluster> StartAsync(PatroniPackage package, string members, JsonObject? dcs = null)
    {
        var cluster = await TestCluster.PrepareAsync(Options(members.Length, dcs));
        try
        {
            foreach (var (node, kind) in cluster.Nodes.Zip(members).Where(member => member.Second != '-'))
            {
                node.Patroni = kind == 'P' ? package : null;
                node.Start();
                if (node == cluster.Nodes[0])
                {
                    await cluster.LeaderAsync(within: TestCluster.Patience * 2);
                }
            }
            await cluster.HealthyAsync(TestCluster.Patience * 2);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// The dynamic configuration of a mode: asynchronous, synchronous or quorum. Of three members each may take over.
    /// </summary>
    public static JsonObject Mode(string mode) => mode switch
    {
        "synchronous" => new() { ["synchronous_mode"] = true, ["synchronous_node_count"] = 2 },
        "quorum" => new() { ["synchronous_mode"] = "quorum" },
        _ => [],
    };

    /// <summary>Waits until the cluster is healthy and, in a synchronous mode, each standby may lead.</summary>
    /// <returns>The leader.</returns>
    public static async Task<TestNode> ReadyAsync(this TestCluster cluster, string mode)
    {
        var leader = await cluster.HealthyAsync(TestCluster.Patience * 2);
        if (mode != "asynchronous")
        {
            await cluster.UntilAsync(
                async () => (await cluster.Keys.GetAsync("sync"))?.JsonOrNull is { } sync
                    && (string?)sync["leader"] == leader.Name
                    && ((string?)sync["sync_standby"] ?? "").Split(',').Length == cluster.Nodes.Count - 1,
                "every standby is named in the sync key", TestCluster.Patience * 2);
        }
        return leader;
    }
}
