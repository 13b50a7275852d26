namespace Routing.Dcs;

/// <summary>Finds the endpoints of an etcd whose configuration names none.</summary>
/// <remarks>Two sources that would ask the same are equal: a reload compares them.</remarks>
public interface IEndpointSource
{
    /// <summary>The endpoints, in the order in which they are tried.</summary>
    /// <param name="time">The clock for time limits.</param>
    /// <param name="random">Draws among endpoints of equal rank.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="ClusterStoreException">No server of names answered, or there are no endpoints.</exception>
    Task<IReadOnlyList<Uri>> FindAsync(TimeProvider time, Random random, CancellationToken cancellationToken);
}
