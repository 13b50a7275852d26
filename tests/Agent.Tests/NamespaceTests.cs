using Routing.TestKit;

namespace Routing.Agent.Tests;

/// <summary>The rooms of the agent lie above each other.</summary>
public sealed class NamespaceTests
{
    [Fact]
    public void No_namespaces_use_each_other_in_a_circle() =>
        Assert.Empty(new NamespaceGraph(typeof(AgentHost).Assembly).Circles());
}
