using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests.Drills;

/// <summary>A cluster of three for many clients, who log in with SCRAM and nothing else.</summary>
public class DrillCluster : ClusterFixture
{
    protected override TestClusterOptions Options => new()
    {
        Ttl = 20,   // nothing here waits for its end, and no lease is lost on a loaded machine
        Dcs = Dcs([]),
        Configure = static (node, config) => config["postgresql"]!["pg_hba"] = new JsonArray(
            "local all all trust",
            $"host replication all {node.Machine.Subnet} scram-sha-256",
            $"host all all {node.Machine.Subnet} scram-sha-256"),
    };

    /// <summary>The dynamic configuration, with more of it.</summary>
    private protected static JsonObject Dcs(JsonObject more)
    {
        more["postgresql"] = new JsonObject
        {
            ["parameters"] = new JsonObject { ["max_connections"] = 400, ["shared_buffers"] = "128MB" },
        };
        return more;
    }
}

/// <summary>The same in quorum mode, with a leader key that lives for five seconds.</summary>
public sealed class QuorumDrillCluster : DrillCluster
{
    protected override TestClusterOptions Options => base.Options with
    {
        Ttl = 5,
        Dcs = Dcs(new JsonObject { ["synchronous_mode"] = "quorum" }),
    };

    protected override Task UntilReadyAsync(TestCluster cluster) => cluster.SynchronousAsync();
}
