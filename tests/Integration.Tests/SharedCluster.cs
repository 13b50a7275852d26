using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>
/// The classes about members that lead, follow, stop and come back, which share one asynchronous cluster of three with
/// pg_rewind.
/// </summary>
[CollectionDefinition(Name)]
public sealed class SharedCluster : ICollectionFixture<ClusterFixture>
{
    public const string Name = "one cluster of three";
}

/// <summary>The classes about clients, keys, configuration and tools, which share another one.</summary>
[CollectionDefinition(Name)]
public sealed class SecondCluster : ICollectionFixture<ClusterFixture>
{
    public const string Name = "another cluster of three";
}
