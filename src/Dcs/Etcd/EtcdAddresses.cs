namespace Routing.Dcs.Etcd;

/// <summary>The endpoints that a configuration names, directly or through SRV records.</summary>
internal sealed class EtcdAddresses(EtcdOptions options, TimeProvider time, Func<SrvLookup>? lookup = null)
{
    // The names of the service, in the order in which they are asked for; https where the name says so.
    private static readonly (string Service, string Scheme)[] s_services =
    [
        ("_etcd-client-ssl", Uri.UriSchemeHttps), ("_etcd-client", Uri.UriSchemeHttp),
        ("_etcd-ssl", Uri.UriSchemeHttps), ("_etcd", Uri.UriSchemeHttp),
    ];

    private readonly Func<SrvLookup> _lookup = lookup ?? (() => SrvLookup.OfSystem(time));

    /// <summary>What is known without asking anybody.</summary>
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
        return options.Endpoints.Count > 0 || options.DiscoverySrv is not null
            ? options.Endpoints
            : throw new ArgumentException("No etcd endpoint is configured.");
    }

    /// <summary>What the SRV records of the domain say: those of the first name that has any.</summary>
    /// <exception cref="ClusterStoreException">No name server answered, or no name has records.</exception>
    public async Task<IReadOnlyList<Uri>> DiscoverAsync(CancellationToken cancellationToken)
    {
        var records = _lookup();
        var suffix = string.IsNullOrEmpty(options.DiscoverySrvSuffix) ? "" : "-" + options.DiscoverySrvSuffix;
        foreach (var (service, scheme) in s_services)
        {
            var targets = await records.FindAsync($"{service}{suffix}._tcp.{options.DiscoverySrv}", cancellationToken);
            if (targets.Count > 0)
            {
                return [.. targets.Select(target => new UriBuilder(scheme, target.Host, target.Port).Uri)];
            }
        }
        throw new ClusterStoreException(
            $"The domain {options.DiscoverySrv} has no SRV records for etcd (asked for "
                + $"{string.Join(", ", s_services.Select(s => s.Service + suffix))}).");
    }
}
