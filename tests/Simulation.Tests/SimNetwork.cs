namespace Routing.Simulation.Tests;

/// <summary>Who reaches whom. A node that is cut off from its peers reaches neither their REST nor their PostgreSQL.</summary>
internal sealed class SimNetwork
{
    private readonly Dictionary<int, SimServer> _servers = [];
    private readonly HashSet<string> _isolated = [];

    public void Add(SimServer server) => _servers[server.Port] = server;

    public SimServer? ServerAt(int port) => _servers.GetValueOrDefault(port);

    public void Isolate(string node) => _isolated.Add(node);

    public void Join(string node) => _isolated.Remove(node);

    public bool CanTalk(string from, string to) => from == to || !(_isolated.Contains(from) || _isolated.Contains(to));

    public bool CanStream(SimServer standby, SimServer source) => CanTalk(standby.Name, source.Name);
}
