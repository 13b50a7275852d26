using Microsoft.Extensions.Logging;
using Routing.Dcs;
using Routing.Dcs.Etcd;
using Routing.Driver.Settings;

namespace Routing.Driver.Topology;

/// <summary>One watch for each cluster in a process, however many data sources use it.</summary>
internal sealed class SharedTopology
{
    private static readonly Lock s_gate = new();
    private static readonly Dictionary<string, SharedTopology> s_shared = new(StringComparer.Ordinal);

    private readonly string _key;
    private readonly IClusterViews _views;
    private int _users;

    private SharedTopology(string key, IClusterViews views, ILoggerFactory loggerFactory, TimeProvider time)
    {
        _key = key;
        _views = views;
        Watch = new TopologyWatch(new ProvenViews(views, time), loggerFactory.CreateLogger<TopologyWatch>());
    }

    /// <summary>The watch.</summary>
    public TopologyWatch Watch { get; }

    /// <summary>Why the source does not answer; null while it does, or where it is not known.</summary>
    public string? Problem => _views.Problem;

    /// <summary>Takes part in the watch of a cluster; begins it for the first user. To be released once.</summary>
    public static SharedTopology Take(RoutingOptions options, ILoggerFactory loggerFactory, TimeProvider time)
    {
        var key = KeyOf(options);
        SharedTopology? shared;
        lock (s_gate)
        {
            if (s_shared.TryGetValue(key, out shared))
            {
                shared._users++;
                return shared;
            }
            shared =
                new SharedTopology(key, ViewsFor(options, loggerFactory, time), loggerFactory, time) { _users = 1 };
            s_shared.Add(key, shared);
        }
        return shared.Begin();
    }

    /// <summary>A watch of one's own, on views from elsewhere.</summary>
    public static SharedTopology Own(IClusterViews views, ILoggerFactory loggerFactory) =>
        new SharedTopology("", views, loggerFactory, TimeProvider.System) { _users = 1 }.Begin();

    /// <summary>How many watches run in this process.</summary>
    public static int Count
    {
        get
        {
            lock (s_gate)
            {
                return s_shared.Count;
            }
        }
    }

    /// <summary>Gives it back; the last one ends the watch.</summary>
    public async ValueTask ReleaseAsync()
    {
        lock (s_gate)
        {
            if (--_users > 0)
            {
                return;
            }
            s_shared.Remove(_key);
        }
        await Watch.DisposeAsync().ConfigureAwait(false);
        switch (_views)
        {
            case IAsyncDisposable disposable:
                await disposable.DisposeAsync().ConfigureAwait(false);
                break;
            case IDisposable disposable:
                disposable.Dispose();
                break;
        }
    }

    private SharedTopology Begin()
    {
        // Without the application's synchronization context: the watch would go on in it.
        Task.Run(Watch.Start).GetAwaiter().GetResult();
        return this;
    }

    private static IClusterViews ViewsFor(RoutingOptions options, ILoggerFactory loggerFactory, TimeProvider time) =>
        options.Topology == TopologySource.Rest
            ? new RestClusterViews(
                new RestOptions
                {
                    Endpoints = EndpointText.ParseAll(options.Rest, options.RestCaFile, EndpointText.RestPort),
                    CaFile = options.RestCaFile,
                    Interval = options.RestInterval,
                },
                time, loggerFactory.CreateLogger<RestClusterViews>())
            : new EtcdClusterStore(
                new EtcdOptions
                {
                    Endpoints = EndpointText.ParseAll(options.Etcd, options.EtcdCaFile, EndpointText.EtcdPort),
                    Username = options.EtcdUsername,
                    Password = options.EtcdPassword,
                    CaFile = options.EtcdCaFile,
                    CertificateFile = options.EtcdCertificateFile,
                    KeyFile = options.EtcdKeyFile,
                },
                options.Namespace, options.Cluster, time, loggerFactory);

    private static string KeyOf(RoutingOptions options) => string.Join('\n',
    [
        options.Topology.ToString(), options.Namespace, options.Cluster, options.EtcdUsername, options.EtcdPassword,
        options.EtcdCaFile,
        options.EtcdCertificateFile, options.EtcdKeyFile, options.RestCaFile, options.RestInterval.ToString(),
        .. (options.Topology == TopologySource.Etcd ? options.Etcd : options.Rest).Order(StringComparer.Ordinal),
    ]);
}
