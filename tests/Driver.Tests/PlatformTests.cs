using System.Reflection;
using System.Runtime.Versioning;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Driver.Tests;

/// <summary>The driver's package runs on Windows and macOS as on Linux.</summary>
/// <remarks>
/// Its assemblies are compiled for no platform, so that the analyzer CA1416 refuses each call of an API that only some
/// platforms have. What the analyzer does not see, calls of native libraries, is looked for here.
/// </remarks>
public sealed class PlatformTests
{
    private const BindingFlags All = BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public
        | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    public static TheoryData<Assembly> Assemblies =>
        [typeof(RoutingDataSource).Assembly, typeof(ClusterSnapshot).Assembly, typeof(IClusterStore).Assembly];

    [Theory]
    [MemberData(nameof(Assemblies))]
    public void No_assembly_of_the_package_is_bound_to_a_platform_or_calls_a_native_library(Assembly assembly)
    {
        Assert.Empty(assembly.GetCustomAttributes<OSPlatformAttribute>());
        Assert.DoesNotContain(
            assembly.GetTypes().SelectMany(type => type.GetMethods(All)),
            method => method.Attributes.HasFlag(MethodAttributes.PinvokeImpl));
    }
}
