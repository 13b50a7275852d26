using System.Collections.Immutable;

namespace Routing.Cluster.HostChoice;

/// <summary>The members that serve one request at one snapshot, best tier first. Computed once for each snapshot, picked from often.</summary>
public sealed class HostSet
{
    /// <summary>All members that fit, by tier: preferred zone first, then others, then what the fallback allows.</summary>
    public ImmutableArray<Member> Members { get; init; } = [];

    /// <summary>Where each tier ends in <see cref="Members"/>.</summary>
    public ImmutableArray<int> TierEnds { get; init; } = [];

    /// <summary>Every member of the cluster with the reason why it fits or does not.</summary>
    public ImmutableArray<HostVerdict> Verdicts { get; init; } = [];
}
