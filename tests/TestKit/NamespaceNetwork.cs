namespace Routing.TestKit;

/// <summary>Machines in network namespaces on one bridge, each with an address in 10.77.0.0/24.</summary>
/// <remarks>
/// A cut gives the sender a wrong hardware address for the receiver: what it sends is delivered to nobody, without an
/// error, and the other direction goes on. Disks are file systems in memory. All of it exists in this process's own
/// namespaces (<see cref="NamespaceLab"/>) only.
/// </remarks>
public sealed class NamespaceNetwork : ITestNetwork
{
    private const string Nobody = "02:00:00:00:00:01";
    private static int s_machines;
    private readonly List<TestMachine> _machines = [];
    private readonly List<(TestMachine From, TestMachine To)> _cuts = [];
    private readonly List<string> _disks = [];

    /// <summary>A network without machines.</summary>
    /// <exception cref="InvalidOperationException">This process has no namespaces of its own.</exception>
    public NamespaceNetwork()
    {
        if (!NamespaceLab.IsInside)
        {
            throw new InvalidOperationException("This process has no namespaces of its own.");
        }
    }

    /// <inheritdoc/>
    public string Kind => "network namespaces on a bridge";

    /// <inheritdoc/>
    public bool HasDisks => true;

    /// <inheritdoc/>
    public TestMachine Add(string name)
    {
        var number = Interlocked.Increment(ref s_machines) % 250 + 1;
        var space = $"m{number}";
        var address = $"10.77.0.{number}";
        Shell($"""
            ip netns add {space}
            ip link add v{number} type veth peer name eth0 netns {space}
            ip link set v{number} master {NamespaceLab.Bridge} up
            ip -n {space} addr add {address}/24 dev eth0
            ip -n {space} link set lo up
            ip -n {space} link set eth0 up
            """);
        var machine = new TestMachine(name, address, "10.77.0.0/24", ["nsenter", $"--net=/run/netns/{space}"]);
        _machines.Add(machine);
        return machine;
    }

    /// <inheritdoc/>
    public void Remove(TestMachine machine)
    {
        _machines.Remove(machine);
        _cuts.RemoveAll(cut => cut.From == machine || cut.To == machine);
        NamespaceLab.Run("ip", "netns", "delete", SpaceOf(machine));
    }

    /// <inheritdoc/>
    public string Front(TestMachine machine, int port) => $"{machine.Address}:{port}";

    /// <inheritdoc/>
    public void Cut(TestMachine from, TestMachine to)
    {
        NamespaceLab.Run(
            "ip", "-n", SpaceOf(from), "neigh", "replace", to.Address, "dev", "eth0",
            "lladdr", Nobody, "nud", "permanent");
        _cuts.Add((from, to));
    }

    /// <inheritdoc/>
    public void Heal()
    {
        foreach (var (from, to) in _cuts.Distinct())
        {
            NamespaceLab.Run("ip", "-n", SpaceOf(from), "neigh", "delete", to.Address, "dev", "eth0");
        }
        _cuts.Clear();
    }

    /// <inheritdoc/>
    public void MountDisk(string directory, int megabytes)
    {
        NamespaceLab.Run("mount", "-t", "tmpfs", "-o", $"size={megabytes}m,mode=0777", "tmpfs", directory);
        _disks.Add(directory);
    }

    /// <inheritdoc/>
    public void UnmountDisk(string directory)
    {
        if (_disks.Remove(directory))
        {
            NamespaceLab.Run("umount", "--lazy", directory);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _disks.ToList().ForEach(UnmountDisk);
        _machines.ToList().ForEach(Remove);
        return ValueTask.CompletedTask;
    }

    private static string SpaceOf(TestMachine machine) => Path.GetFileName(machine.Entrance[^1]);

    private static void Shell(string script) => NamespaceLab.Run("sh", "-ec", script);
}
