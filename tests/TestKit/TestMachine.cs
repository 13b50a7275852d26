namespace Routing.TestKit;

/// <summary>
/// Where programs of a test run: on this machine as it is, or on one of an <see cref="ITestNetwork"/>.
/// </summary>
/// <param name="name">Its name in its network.</param>
/// <param name="address">The IPv4 address that its servers listen on.</param>
/// <param name="subnet">All machines that reach it, as CIDR.</param>
/// <param name="entrance">The words before a command that run the command there.</param>
public sealed class TestMachine(string name, string address, string subnet, IReadOnlyList<string> entrance)
{
    /// <summary>This machine, by its loopback address.</summary>
    public static TestMachine This { get; } = new("localhost", "127.0.0.1", "127.0.0.1/32", []);

    /// <summary>Its name in its network.</summary>
    public string Name { get; } = name;

    /// <summary>The IPv4 address that its servers listen on.</summary>
    public string Address { get; } = address;

    /// <summary>All machines that reach it, as CIDR.</summary>
    public string Subnet { get; } = subnet;

    /// <summary>The words before a command that run the command there.</summary>
    public IReadOnlyList<string> Entrance { get; } = entrance;

    /// <inheritdoc/>
    public override string ToString() => Name;
}
