namespace Routing.Dcs;

/// <summary>The connection of an <see cref="Etcd.EtcdClusterStore"/>, for metrics and status pages.</summary>
/// <param name="Endpoint">The endpoint in use; empty while SRV records have not brought any.</param>
/// <param name="EndpointCount">The endpoints known, configured and discovered.</param>
/// <param name="EndpointChanges">How often the endpoint in use changed.</param>
/// <param name="FailedAttempts">Single attempts that failed, also those whose operation succeeded elsewhere.</param>
/// <param name="WatchReconnects">How often a watch lost its stream and opened another.</param>
/// <param name="Resyncs">How often a watch read everything anew after its first read.</param>
/// <param name="Logins">How often a token was asked for.</param>
/// <param name="LastContact">
/// Timestamp (of the store's <see cref="TimeProvider"/>) of the last answer of any kind; 0 before the first.
/// </param>
public sealed record EtcdStatus(
    string Endpoint,
    int EndpointCount,
    long EndpointChanges,
    long FailedAttempts,
    long WatchReconnects,
    long Resyncs,
    long Logins,
    long LastContact);
