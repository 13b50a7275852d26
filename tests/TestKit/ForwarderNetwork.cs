namespace Routing.TestKit;

/// <summary>
/// Machines that are processes on 127.0.0.1, and reach each other through forwarders that can be told to forward
/// nothing.
/// </summary>
/// <remarks>
/// For systems that allow no network namespaces. What is cut is kept back and arrives after the cut, as TCP would send
/// it again; to open a connection still succeeds. A machine's programs are told apart by a variable in their
/// environment. The members of etcd reach each other without forwarders.
/// </remarks>
public sealed class ForwarderNetwork : ITestNetwork
{
    private const string Mark = "ROUTING_TEST_MACHINE";
    private static int s_networks;
    private readonly string _unique = $"{Environment.ProcessId}-{Interlocked.Increment(ref s_networks)}";
    private readonly Lock _gate = new();
    private readonly List<TestMachine> _machines = [];
    private readonly Dictionary<(TestMachine Machine, int Port), Forwarder> _fronts = [];
    private readonly HashSet<(TestMachine From, TestMachine To)> _cuts = [];

    /// <inheritdoc/>
    public string Kind => "processes on 127.0.0.1 behind forwarders";

    /// <inheritdoc/>
    public bool HasDisks => false;

    /// <inheritdoc/>
    public TestMachine Add(string name)
    {
        var machine = new TestMachine(name, "127.0.0.1", "127.0.0.1/32", ["env", $"{Mark}={_unique}-{name}"]);
        lock (_gate)
        {
            _machines.Add(machine);
        }
        return machine;
    }

    /// <inheritdoc/>
    public void Remove(TestMachine machine)
    {
        lock (_gate)
        {
            _machines.Remove(machine);
        }
    }

    /// <inheritdoc/>
    public string Front(TestMachine machine, int port)
    {
        if (!_fronts.TryGetValue((machine, port), out var front))
        {
            _fronts[(machine, port)] = front = new Forwarder(
                port, OwnerOf,
                (client, outward) => client is not null && IsCut(outward ? (client, machine) : (machine, client)));
        }
        return $"127.0.0.1:{front.Port}";
    }

    /// <inheritdoc/>
    public void Cut(TestMachine from, TestMachine to)
    {
        lock (_gate)
        {
            _cuts.Add((from, to));
        }
    }

    /// <inheritdoc/>
    public void Heal()
    {
        lock (_gate)
        {
            _cuts.Clear();
        }
    }

    /// <inheritdoc/>
    public void MountDisk(string directory, int megabytes) =>
        throw new NotSupportedException($"There are no disks with {Kind}.");

    /// <inheritdoc/>
    public void UnmountDisk(string directory)
    {
        // there is none
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Heal();
        foreach (var front in _fronts.Values)
        {
            await front.DisposeAsync();
        }
    }

    private bool IsCut((TestMachine From, TestMachine To) way)
    {
        lock (_gate)
        {
            return _cuts.Contains(way);
        }
    }

    /// <summary>
    /// The machine whose program has opened a connection from this port; null when it is none of ours, as the test
    /// itself.
    /// </summary>
    private TestMachine? OwnerOf(int port)
    {
        // A server of PostgreSQL writes its title over its environment: its postmaster's tells.
        for (var pid = OrdinaryProcess.OwnerOf(port); pid is > 1; pid = OrdinaryProcess.ParentOf(pid.Value))
        {
            if (OrdinaryProcess.VariableOf(pid.Value, Mark) is { } name)
            {
                lock (_gate)
                {
                    return _machines.Find(machine => name == $"{_unique}-{machine.Name}");
                }
            }
        }
        return null;
    }
}
