using Routing.TestKit;

namespace Routing.Demo;

/// <summary>One etcd, three nodes, and the proxy in front of them.</summary>
internal sealed class DemoCluster : IAsyncDisposable
{
    // The members of a cluster that ends as a whole wait for each other for longer; nobody needs these data any more.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    private readonly string _folder;

    private DemoCluster(string folder, EtcdServer etcd, IReadOnlyList<Node> nodes, ProxyNode proxy) =>
        (_folder, Etcd, Nodes, Proxy) = (folder, etcd, nodes, proxy);

    public EtcdServer Etcd { get; }

    public IReadOnlyList<Node> Nodes { get; }

    public ProxyNode Proxy { get; }

    public Node this[string name] => Nodes.Single(node => node.Name == name);

    public static async Task<DemoCluster> StartAsync(DemoOptions options)
    {
        var etcd = await EtcdServer.StartAsync();
        var cluster = new DemoCluster(
            options.Folder, etcd, [.. new[] { "a", "b", "c" }.Select(name => new Node(name, etcd.Endpoint, options))],
            new ProxyNode(etcd.Endpoint, options));
        foreach (var node in cluster.Nodes)
        {
            node.Start();
        }
        cluster.Proxy.Start();
        return cluster;
    }

    /// <summary>Ends everything: cleanly within a moment, else by force.</summary>
    public async ValueTask DisposeAsync()
    {
        ProcessFolder.Signal(_folder, ProcessFolder.Continue);
        await Proxy.StopAsync();
        try
        {
            await Task.WhenAll(Nodes.Select(node => node.StopAsync(s_patience)));
        }
        catch (TimeoutException)
        {
            foreach (var node in Nodes)
            {
                // PostgreSQL first and by SIGQUIT, so that it gives its shared memory back.
                if (node.Postmaster is { } postmaster
                    && ProcessFolder.Processes(node.DataDirectory).Contains(postmaster))
                {
                    ProcessFolder.Signal(postmaster, ProcessFolder.Quit);
                }
                foreach (var id in ProcessFolder.Processes(node.Folder)
                    .Except(ProcessFolder.Processes(node.DataDirectory)))
                {
                    ProcessFolder.Signal(id, ProcessFolder.Kill);
                }
            }
        }
        await Etcd.DisposeAsync();
        foreach (var node in Nodes)
        {
            node.Dispose();
        }
        Proxy.Dispose();
    }
}
