namespace Routing.Dcs.Etcd;

/// <summary>The endpoints that a configuration names, or that its source finds.</summary>
internal sealed class EtcdAddresses(EtcdOptions options, TimeProvider time)
{
    private readonly Random _random = new();

    /// <summary>The addresses that are known without a question to a server.</summary>
    /// <exception cref="ArgumentException">Nothing is configured, or not for http or https.</exception>
    public IReadOnlyList<Uri> Configured()
    {
        foreach (var address in options.Endpoints)
        {
            if (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps)
            {
                throw new ArgumentException($"The etcd endpoint {address} is neither http nor https.");
            }
        }
        return options.Endpoints.Count > 0 || options.Source is not null
            ? options.Endpoints
            : throw new ArgumentException("No etcd endpoint is configured.");
    }

    /// <summary>The addresses that the source finds now.</summary>
    /// <exception cref="ClusterStoreException">It finds none.</exception>
    public async Task<IReadOnlyList<Uri>> DiscoverAsync(CancellationToken cancellationToken) =>
        options.Source is { } source
            ? await source.FindAsync(time, _random, cancellationToken)
            : throw new ClusterStoreException("No etcd endpoint is configured.");
}
