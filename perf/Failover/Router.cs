using System.Diagnostics;
using System.Globalization;
using Npgsql;
using Routing.TestKit;

namespace Routing.Failover;

/// <summary>
/// The router that belongs to an agent, with one port that leads to the primary: our proxy before ours, HAProxy with
/// the health checks of its usual configuration before the established one.
/// </summary>
internal sealed class Router : IAsyncDisposable
{
    /// <summary>Of Debian's package.</summary>
    public const string HaProxy = "/usr/sbin/haproxy";

    private readonly Process _process;

    private Router(Process process, int port)
    {
        _process = process;
        Way = new NpgsqlSlimDataSourceBuilder(
            $"Host=127.0.0.1;Port={port};Username=postgres;Password=super;Database=postgres;Pooling=false;Timeout=15;"
            + "Command Timeout=5;Server Compatibility Mode=NoTypeLoading;Include Error Detail=true").Build();
    }

    /// <summary>Opens connections through it, each a new one.</summary>
    public NpgsqlDataSource Way { get; }

    /// <summary>Starts the router before a cluster that is whole.</summary>
    /// <param name="cluster">The cluster; the router's files lie in its directory.</param>
    /// <param name="proxy">Our proxy, native.</param>
    public static Router Start(TestedCluster cluster, string proxy)
    {
        var port = FreePorts.Take();
        var directory = Path.Combine(cluster.Path, "router");
        Directory.CreateDirectory(directory);
        var file = Path.Combine(directory, "router.conf");
        File.WriteAllText(file, cluster.Contender.IsOurs ? Ours(cluster, port) : Established(cluster, port));
        string[] command = cluster.Contender.IsOurs ? [proxy, file] : [HaProxy, "-f", file];
        // The shell only points the output to the log and becomes the router: the process id stays.
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false, WorkingDirectory = directory };
        foreach (var argument in (string[])["-c", "exec \"$@\" >>router.log 2>&1", "router", .. command])
        {
            start.ArgumentList.Add(argument);
        }
        return new Router(Process.Start(start) ?? throw new InvalidOperationException("The router was not started."),
            port);
    }

    public async ValueTask DisposeAsync()
    {
        await Way.DisposeAsync();
        if (!_process.HasExited)
        {
            Linux.Signal(_process.Id, Linux.SigKill);
            await _process.WaitForExitAsync();
        }
        _process.Dispose();
    }

    private static string Ours(TestedCluster cluster, int port) => string.Create(CultureInfo.InvariantCulture, $$"""
        scope: {{cluster.Scope}}
        etcd3: {hosts: "127.0.0.1:{{cluster.Etcd.Port}}"}
        listeners:
          write: {listen: "127.0.0.1:{{port}}", role: primary}

        """);

    /// <summary>
    /// The checks of the configuration that is passed on with the established agent; for its fastest setting, once a
    /// second.
    /// </summary>
    private static string Established(TestedCluster cluster, int port)
    {
        var checks =
            cluster.Contender.Setting == Contender.Default ? "inter 3s fall 3 rise 2" : "inter 1s fall 1 rise 1";
        var servers = cluster.Nodes.Select(node => string.Create(
            CultureInfo.InvariantCulture,
            $"{node.Name} 127.0.0.1:{node.Port} maxconn 100 check port {node.Rest.Port}"));
        return HaProxyText.Beginning + HaProxyText.Listener(port, "OPTIONS /primary", checks, servers);
    }
}
