using System.Globalization;
using Npgsql;
using Routing.TestKit;

namespace Routing.Integration.Tests.Tools;

/// <summary>HAProxy with the checks that people have in front of Patroni.</summary>
internal sealed class HaProxy : IAsyncDisposable
{
    private const string Program = "/usr/sbin/haproxy";
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);
    private readonly TempDirectory _directory = new("haproxy");
    private readonly List<string> _sections = [];
    private OrdinaryProcess? _process;

    public HaProxy() => OrdinaryProcess.GiveAway(_directory.Path);

    /// <summary>Adds a port that leads to the members which pass a check.</summary>
    /// <param name="check">Method and path.</param>
    /// <param name="nodes">The members.</param>
    /// <param name="server">Added to each server, such as the TLS of its check.</param>
    /// <returns>The port.</returns>
    public int Listen(string check, IEnumerable<TestNode> nodes, string server = "")
    {
        var port = FreePorts.Take();
        _sections.Add(HaProxyText.Listener(
            port, check, "inter 1s fastinter 1s fall 3 rise 2", nodes.Select(node => string.Create(
                CultureInfo.InvariantCulture,
                $"{node.Name} 127.0.0.1:{node.Port} check port {node.RestPort} {server}"))));
        return port;
    }

    /// <summary>Starts it with the ports that were added.</summary>
    public void Start()
    {
        File.WriteAllText(_directory["haproxy.cfg"], HaProxyText.Beginning + string.Join('\n', _sections));
        _process = OrdinaryProcess.Start(
            _directory["log"], _directory.Path, Program, "-db", "-f", _directory["haproxy.cfg"]);
    }

    /// <summary>What it wrote.</summary>
    public string Log => File.Exists(_directory["log"]) ? File.ReadAllText(_directory["log"]) : "";

    /// <summary>Whether a new connection at a port gets to a server, and to which: by the server's own port.</summary>
    public static async Task<int?> ServerBehindAsync(int port)
    {
        try
        {
            await using var connection = await ProxyProcess.OpenAsync(port);
            await using var command = new NpgsqlCommand("SELECT current_setting('port')::int", connection);
            return (int?)await command.ExecuteScalarAsync();
        }
        catch (NpgsqlException)
        {
            return null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is { } process)
        {
            await process.KillAsync(s_limit);
        }
        _directory.Dispose();
    }
}
