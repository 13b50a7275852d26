using Routing.Dcs;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>An observation with the moments that the status tells.</summary>
/// <param name="Observation">What was seen.</param>
/// <param name="ObservedAt">The timestamp at which PostgreSQL was asked.</param>
/// <param name="ConfirmedAt">The timestamp of the last sign of life of the watch.</param>
internal sealed record Sighting(Observation Observation, long ObservedAt, long ConfirmedAt)
{
    /// <summary>The view of the cluster that the observation was made of.</summary>
    public required ClusterView View { get; init; }
}
