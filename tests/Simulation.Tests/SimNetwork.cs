namespace Routing.Simulation.Tests;

/// <summary>
/// Which packets arrive between nodes: REST and PostgreSQL take the same way. The way to the DCS is another one.
/// </summary>
internal sealed class SimNetwork
{
    private readonly Dictionary<int, SimServer> _servers = [];
    private readonly HashSet<string> _isolated = [];
    private readonly HashSet<(string From, string To)> _cut = [];

    public void Add(SimServer server) => _servers[server.Port] = server;

    public SimServer? ServerAt(int port) => _servers.GetValueOrDefault(port);

    /// <summary>Nothing goes in or out.</summary>
    public void Isolate(string node) => _isolated.Add(node);

    public void Join(string node) => _isolated.Remove(node);

    /// <summary>Packets of one direction are lost.</summary>
    public void Cut(string from, string to) => _cut.Add((from, to));

    public void Mend(string from, string to) => _cut.Remove((from, to));

    /// <summary>Every way is open again.</summary>
    public void MendAll()
    {
        _isolated.Clear();
        _cut.Clear();
    }

    /// <summary>A packet from one node arrives at the other.</summary>
    public bool Arrives(string from, string to) =>
        from == to
            || !((_isolated.Count > 0 && (_isolated.Contains(from) || _isolated.Contains(to)))
                || (_cut.Count > 0 && _cut.Contains((from, to))));

    /// <summary>Both directions are open, as a connection needs it.</summary>
    public bool CanTalk(string from, string to) => Arrives(from, to) && Arrives(to, from);

    public bool CanStream(SimServer standby, SimServer source) => CanTalk(standby.Name, source.Name);
}
