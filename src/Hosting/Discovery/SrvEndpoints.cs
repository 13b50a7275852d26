using Routing.Dcs;

namespace Routing.Hosting.Discovery;

/// <summary>Finds the endpoints of etcd by the SRV records of a domain.</summary>
/// <param name="Domain">The domain.</param>
/// <param name="Suffix">What follows each service name after a hyphen; null or empty: nothing.</param>
public sealed record SrvEndpoints(string Domain, string? Suffix) : IEndpointSource
{
    // The names of the service, in the order in which they are asked for; https where the name says so.
    private static readonly (string Service, string Scheme)[] s_services =
    [
        ("_etcd-client-ssl", Uri.UriSchemeHttps), ("_etcd-client", Uri.UriSchemeHttp),
        ("_etcd-ssl", Uri.UriSchemeHttps), ("_etcd", Uri.UriSchemeHttp),
    ];

    /// <summary>The name servers; null: the system's.</summary>
    internal SrvLookup? Lookup { get; init; }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<Uri>> FindAsync(
        TimeProvider time, Random random, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(random);
        var lookup = Lookup ?? SrvLookup.OfSystem(time);
        var suffix = string.IsNullOrEmpty(Suffix) ? "" : "-" + Suffix;
        foreach (var (service, scheme) in s_services)
        {
            var targets = await lookup.FindAsync($"{service}{suffix}._tcp.{Domain}", cancellationToken);
            if (targets.Count > 0)
            {
                return
                [
                    .. SrvOrder.Draw(targets, random)
                        .Select(target => new UriBuilder(scheme, target.Host, target.Port).Uri),
                ];
            }
        }
        throw new ClusterStoreException(
            $"The domain {Domain} has no SRV records for etcd (asked for "
                + $"{string.Join(", ", s_services.Select(s => s.Service + suffix))}).");
    }
}
