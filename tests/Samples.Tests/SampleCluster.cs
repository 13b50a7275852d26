using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Samples.Tests;

/// <summary>The cluster that the samples run on.</summary>
public sealed class SampleCluster : ClusterFixture
{
    public const string Name = "the samples' cluster";

    internal const string Login = "Username=postgres;Password=super;Database=postgres;SSL Mode=Disable";

    internal static string ConnectionString(TestCluster cluster) =>
        $"Cluster={cluster.Scope};Etcd={cluster.Etcd.Endpoint.Host}:{cluster.Etcd.Endpoint.Port};{Login}";

    /// <summary>Its repository of backups is a stub, so that the panels on backups have something to show.</summary>
    protected override TestClusterOptions Options => base.Options with
    {
        Configure = (node, config) =>
        {
            var program = node.WriteProgram("pgbackrest", """
                now=$(date +%s)
                cat <<EOF
                [{"archive":[{"id":"15-1","min":"000000010000000000000001","max":"FFFFFFFFFFFFFFFFFFFFFFFF"}],
                "backup":[{"label":"1","type":"full","timestamp":{"start":$now,"stop":$now}}],
                "name":"pay","status":{"code":0,"message":"ok"}}]
                EOF

                """);
            config["pgbackrest"] = new JsonObject { ["stanza"] = "pay", ["command"] = program };
            var parameters = config["postgresql"]!["parameters"]!.AsObject();
            parameters["archive_mode"] = "on";
            parameters["archive_command"] = "true";
        },
    };

    /// <summary>Makes another member the leader.</summary>
    internal static async Task<TestNode> SwitchOverAsync(TestCluster cluster, TestNode leader)
    {
        var candidate = cluster.ReplicasOf(leader)[0];
        var (code, text) = await leader.SendAsync(
            "POST", "/switchover", new JsonObject { ["leader"] = leader.Name, ["candidate"] = candidate.Name });
        Assert.True(code == 200, text + cluster.Report());
        return await cluster.HealthyAsync();
    }
}

/// <summary>The classes that share it.</summary>
[CollectionDefinition(SampleCluster.Name)]
public sealed class SharedBySamples : ICollectionFixture<SampleCluster>;
