using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>A cluster of three in synchronous mode: whatever was acknowledged must survive every fault.</summary>
public sealed class SynchronousCluster : ClusterFixture
{
    protected override TestClusterOptions Options => new()
    {
        Dcs = new JsonObject
        {
            ["synchronous_mode"] = true,
            ["postgresql"] = new JsonObject
            {
                // Feedback tells within a second what a standby's logical slots need.
                ["parameters"] = new JsonObject { ["wal_level"] = "logical", ["wal_receiver_status_interval"] = "1s" },
            },
        },
    };

    protected override Task UntilReadyAsync(TestCluster cluster) => cluster.SynchronousAsync();
}

/// <summary>The classes about agents and their store, which share one cluster.</summary>
[CollectionDefinition(Name)]
public sealed class SharedCluster : ICollectionFixture<SynchronousCluster>
{
    public const string Name = "one synchronous cluster of three";
}

/// <summary>The classes about clients and lost nodes, which share another one.</summary>
[CollectionDefinition(Name)]
public sealed class SecondCluster : ICollectionFixture<SynchronousCluster>
{
    public const string Name = "another synchronous cluster of three";
}

/// <summary>The drills, on a cluster of machines.</summary>
[CollectionDefinition(Name)]
public sealed class DrillGround : ICollectionFixture<Drills.Ground>
{
    public const string Name = "drills";
}
