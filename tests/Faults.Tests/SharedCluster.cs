using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>A cluster of three in synchronous mode: whatever was acknowledged must survive every fault.</summary>
public sealed class SynchronousCluster : ClusterFixture
{
    protected override TestClusterOptions Options => new() { Dcs = new JsonObject { ["synchronous_mode"] = true } };

    protected override Task UntilReadyAsync(TestCluster cluster) => cluster.SynchronousAsync();
}

/// <summary>The classes that share one cluster.</summary>
[CollectionDefinition(Name)]
public sealed class SharedCluster : ICollectionFixture<SynchronousCluster>
{
    public const string Name = "one synchronous cluster of three";
}
