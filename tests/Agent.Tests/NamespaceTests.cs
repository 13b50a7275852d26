using System.Reflection;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Ha;
using Routing.Hosting.Logging;
using Routing.Settings;
using Routing.TestKit;

namespace Routing.Agent.Tests;

/// <summary>The rooms of the agent, and of each library that it uses, lie above each other.</summary>
public sealed class NamespaceTests
{
    private static readonly Assembly[] s_assemblies =
    [
        typeof(AgentHost).Assembly, typeof(ProgramLog).Assembly, typeof(SettingsLoader).Assembly,
        typeof(ClusterSnapshot).Assembly, typeof(IClusterStore).Assembly, typeof(HaLoop).Assembly,
    ];

    [Fact]
    public void No_namespaces_use_each_other_in_a_circle() =>
        Assert.Empty(s_assemblies.SelectMany(assembly => new NamespaceGraph(assembly).Circles()));
}
