namespace Routing.TestKit;

/// <summary>The networks that a test can have on this system.</summary>
public static class TestNetworks
{
    /// <summary>
    /// Network namespaces where the system allows them (<see cref="NamespaceLab"/>), and forwarders where it does not.
    /// </summary>
    public static ITestNetwork Best() => NamespaceLab.IsInside ? new NamespaceNetwork() : new ForwarderNetwork();
}
