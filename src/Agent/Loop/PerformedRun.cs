using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>What the performer needs to know of the run that it performs.</summary>
/// <param name="Observation">What was decided by, with the memory of the decision.</param>
/// <param name="Member">This member, as its configuration says.</param>
/// <param name="Slots">
/// The replication slots of this leader and their positions, to tell its members while the DCS is silent.
/// </param>
internal sealed record PerformedRun(
    Observation Observation, LocalMember Member, Func<ImmutableSortedDictionary<string, Lsn>> Slots)
{
    /// <summary>The dynamic configuration in force.</summary>
    public DynamicConfig Config => Observation.Config;
}
