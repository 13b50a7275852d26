namespace Routing.Dcs;

/// <summary>A source of views of a cluster: a store, or the agents' REST.</summary>
public interface IClusterViews
{
    /// <summary>
    /// Yields views of the cluster: first a whole and newest one (by a store: read linearizably), then every change as
    /// it is learnt. Coalesces, never goes back, never ends by itself: a lost connection yields the last snapshot again
    /// with <see cref="ClusterView.IsLive"/> false, then reconnects (another endpoint first), reads anew and goes on.
    /// </summary>
    IAsyncEnumerable<ClusterView> WatchAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Why the source does not answer, such as <c>http://10.0.0.1:2379: connection refused</c>; null while it does, or
    /// where it is not known.
    /// </summary>
    string? Problem => null;
}
