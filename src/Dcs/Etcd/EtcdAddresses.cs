namespace Routing.Dcs.Etcd;

/// <summary>The endpoints that a configuration names.</summary>
internal static class EtcdAddresses
{
    public static IReadOnlyList<Uri> Of(EtcdOptions options)
    {
        if (options.DiscoverySrv is { } domain)
        {
            throw new ClusterStoreException(
                $"Discovery of etcd through SRV records (srv: {domain}) is not supported: list the endpoints under hosts.")
            {
                IsRefusal = true,
            };
        }
        foreach (var address in options.Endpoints)
        {
            if (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps)
            {
                throw new ArgumentException($"The etcd endpoint {address} is neither http nor https.", nameof(options));
            }
        }
        return options.Endpoints.Count > 0
            ? options.Endpoints
            : throw new ArgumentException("No etcd endpoint is configured.", nameof(options));
    }
}
