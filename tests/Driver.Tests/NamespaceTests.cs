using Routing.TestKit;

namespace Routing.Driver.Tests;

/// <summary>The rooms of the driver lie above each other, apart from its root, which is its public face.</summary>
public sealed class NamespaceTests
{
    [Fact]
    public void No_namespaces_use_each_other_in_a_circle() =>
        Assert.Empty(new NamespaceGraph(typeof(RoutingDataSource).Assembly, "Routing.Driver").Circles());
}
