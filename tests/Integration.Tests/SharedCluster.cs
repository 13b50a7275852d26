using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>The classes that share one asynchronous cluster of three with pg_rewind.</summary>
[CollectionDefinition(Name)]
public sealed class SharedCluster : ICollectionFixture<ClusterFixture>
{
    public const string Name = "one cluster of three";
}
