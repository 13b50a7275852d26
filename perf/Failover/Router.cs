using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;
using Routing.TestKit;

namespace Routing.Failover;

/// <summary>
/// The router that belongs to an agent, with one port that leads to the primary: our proxy before ours, HAProxy with
/// the health checks of its usual configuration before the established one.
/// </summary>
internal sealed partial class Router : IFront
{
    /// <summary>Of Debian's package.</summary>
    public const string HaProxy = "/usr/sbin/haproxy";

    private const int EnoughLogins = 6;   // to meet each server that it would take

    private static readonly HttpClient s_http = new() { Timeout = TimeSpan.FromSeconds(5) };
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private readonly TestedCluster _cluster;
    private readonly Process _process;
    private readonly int _port = FreePorts.Take();
    private readonly int _adminPort = FreePorts.Take();

    private Router(TestedCluster cluster, string proxy)
    {
        _cluster = cluster;
        var directory = Path.Combine(cluster.Path, string.Create(CultureInfo.InvariantCulture, $"router-{_port}"));
        Directory.CreateDirectory(directory);
        var file = Path.Combine(directory, "router.conf");
        File.WriteAllText(file, cluster.Contender.IsOurs ? Ours() : Established());
        string[] command = cluster.Contender.IsOurs ? [proxy, file] : [HaProxy, "-f", file];
        _process = Run(directory, command);
        Way = WayTo(_port);
    }

    public NpgsqlDataSource Way { get; }

    /// <summary>Starts the router before a cluster that is whole.</summary>
    /// <param name="cluster">The cluster; the router's files lie in its directory.</param>
    /// <param name="proxy">Our proxy, native.</param>
    public static Router Start(TestedCluster cluster, string proxy) => new(cluster, proxy);

    public async Task BecomeReadyAsync(CancellationToken cancellationToken)
    {
        if (_cluster.Contender.IsOurs)
        {
            await WaitUntil.TrueAsync(
                async () => (await MetricsAsync(cancellationToken)).Contains(
                    "routing_proxy_registered 1", StringComparison.Ordinal),
                s_patience, "the proxy is registered");
        }
        await BecomeReadyAsync(Way);
    }

    public Task SwitchOverAsync(TestedNode primary) => _cluster.SwitchOverAsync(primary);

    public async Task<IReadOnlyDictionary<string, long>> CountsAsync(CancellationToken cancellationToken)
    {
        var counts = new Dictionary<string, long>();
        if (_cluster.Contender.IsOurs)
        {
            foreach (Match line in Moves().Matches(await MetricsAsync(cancellationToken)))
            {
                var name = line.Groups["reason"] is { Success: true } reason ? reason.Value : "moved";
                counts[name] = counts.GetValueOrDefault(name)
                    + (long)double.Parse(line.Groups["count"].Value, CultureInfo.InvariantCulture);
            }
        }
        return counts;
    }

    public async ValueTask DisposeAsync()
    {
        await Way.DisposeAsync();
        await EndAsync(_process);
    }

    /// <summary>Opens connections to a port, each a new one.</summary>
    public static NpgsqlDataSource WayTo(int port) => new NpgsqlSlimDataSourceBuilder(
        $"Host=127.0.0.1;Port={port};Username=postgres;Password=super;Database=postgres;Pooling=false;Timeout=15;"
        + "Command Timeout=5;Server Compatibility Mode=NoTypeLoading;Include Error Detail=true").Build();

    /// <summary>
    /// Waits until a way leads to the primary alone: HAProxy takes every server for a good one until it has asked.
    /// </summary>
    public static Task BecomeReadyAsync(NpgsqlDataSource way) => WaitUntil.TrueAsync(
        async () =>
        {
            for (var login = 0; login < EnoughLogins; login++)
            {
                await using var connection = await way.OpenConnectionAsync();
                await using var command = new NpgsqlCommand("SELECT pg_is_in_recovery()", connection);
                if (await command.ExecuteScalarAsync() is not false)
                {
                    return false;
                }
            }
            return true;
        },
        s_patience, "clients get to the primary, and nowhere else");

    /// <summary>Starts a program with its output in <c>log</c>.</summary>
    public static Process Run(string directory, params string[] command)
    {
        // The shell only points the output to the log and becomes the program: the process id stays.
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false, WorkingDirectory = directory };
        foreach (var argument in (string[])["-c", "exec \"$@\" >>log 2>&1", "front", .. command])
        {
            start.ArgumentList.Add(argument);
        }
        return Process.Start(start) ?? throw new InvalidOperationException($"{command[0]} was not started.");
    }

    /// <summary>Kills a program and waits for its end.</summary>
    public static async Task EndAsync(Process process)
    {
        if (!process.HasExited)
        {
            Linux.Signal(process.Id, Linux.SigKill);
            await process.WaitForExitAsync();
        }
        process.Dispose();
    }

    private Task<string> MetricsAsync(CancellationToken cancellationToken) => s_http.GetStringAsync(
        new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{_adminPort}/metrics")),
        cancellationToken);

    private string Ours() => string.Create(CultureInfo.InvariantCulture, $$"""
        scope: {{_cluster.Scope}}
        etcd3: {hosts: "127.0.0.1:{{_cluster.Etcd.Port}}"}
        listeners:
          write: {listen: "127.0.0.1:{{_port}}", role: primary}
        admin: {listen: "127.0.0.1:{{_adminPort}}"}

        """);

    /// <summary>
    /// The checks of the configuration that is passed on with the established agent; for its fastest setting, once a
    /// second.
    /// </summary>
    private string Established()
    {
        var checks =
            _cluster.Contender.Setting == Contender.Default ? "inter 3s fall 3 rise 2" : "inter 1s fall 1 rise 1";
        var servers = _cluster.Nodes.Select(node => string.Create(
            CultureInfo.InvariantCulture,
            $"{node.Name} 127.0.0.1:{node.Port} maxconn 100 check port {node.Rest.Port}"));
        return HaProxyText.Beginning + HaProxyText.Listener(_port, "OPTIONS /primary", checks, servers);
    }

    [GeneratedRegex(
        """^routing_proxy_sessions_(not_moved_total\{.*reason="(?<reason>\w+)"\}|moved_total\{.*\}) (?<count>\S+)$""",
        RegexOptions.Multiline)]
    private static partial Regex Moves();
}
