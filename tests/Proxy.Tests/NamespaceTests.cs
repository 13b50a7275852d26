using Routing.Proxy.Sessions;
using Routing.TestKit;

namespace Routing.Proxy.Tests;

/// <summary>The rooms of the proxy lie above each other.</summary>
public sealed class NamespaceTests
{
    [Fact]
    public void No_namespaces_use_each_other_in_a_circle() =>
        Assert.Empty(new NamespaceGraph(typeof(SessionServer).Assembly).Circles());
}
