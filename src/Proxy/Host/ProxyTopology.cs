using Microsoft.Extensions.Logging;
using Routing.Dcs;
using Routing.Dcs.Etcd;
using Routing.Proxy.Configuration;

namespace Routing.Proxy.Host;

/// <summary>Where the proxy learns which member leads: etcd, or the agents' REST.</summary>
internal sealed class ProxyTopology : IAsyncDisposable
{
    private readonly EtcdClusterStore? _store;
    private readonly RestClusterViews? _rest;

    /// <summary>Creates what the settings name.</summary>
    /// <exception cref="ClusterStoreException">A certificate file can't be used.</exception>
    public ProxyTopology(ProxySettings settings, TimeProvider time, ILoggerFactory loggers)
    {
        if (settings.Etcd is { } etcd)
        {
            _store = new EtcdClusterStore(etcd, settings.Namespace, settings.Scope, time, loggers);
            Views = new ProvenViews(_store, time);
        }
        else
        {
            Views = _rest = new RestClusterViews(settings.Rest!, time, loggers.CreateLogger<RestClusterViews>());
        }
    }

    /// <summary>The views of the cluster.</summary>
    public IClusterViews Views { get; }

    /// <summary>Where this proxy can register; null: the agents' REST takes no registrations.</summary>
    public IClusterStore? Store => _store;

    /// <summary>What people call it: the subject of a sentence in the singular.</summary>
    public string Name => _store is null ? "the agents' REST" : "etcd";

    /// <summary>Timestamp of its last sign of life; 0 before the first.</summary>
    public long LastContact => _store?.Status.LastContact ?? _rest!.LastContact;

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _rest?.Dispose();
        return _store?.DisposeAsync() ?? default;
    }
}
