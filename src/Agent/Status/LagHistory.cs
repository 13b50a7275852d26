using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Cluster.Overview;

namespace Routing.Agent.Status;

/// <summary>How far the members lagged at one moment.</summary>
/// <param name="At">When the agent looked, by the wall clock.</param>
/// <param name="Bytes">Bytes that each standby lacked, by its name; without those whose position is unknown.</param>
internal sealed record LagSample(DateTimeOffset At, ImmutableSortedDictionary<string, long> Bytes);

/// <summary>
/// How far the members lagged in the last minutes, as this agent saw it: for people that come to look after the fact.
/// </summary>
/// <remarks>It is bounded by time, by the distance of its samples, and by the members in each.</remarks>
/// <param name="Samples">Oldest first.</param>
internal sealed record LagHistory(ImmutableArray<LagSample> Samples)
{
    private const int MaximumMembers = 64;

    /// <summary>Nothing was seen yet.</summary>
    public static readonly LagHistory Empty = new(ImmutableArray<LagSample>.Empty);

    /// <summary>How far back it goes.</summary>
    public static readonly TimeSpan Span = TimeSpan.FromMinutes(5);

    /// <summary>Within this time after a sample no further one is taken.</summary>
    public static readonly TimeSpan Distance = TimeSpan.FromSeconds(2);

    /// <summary>The history with one more sample, and without those that are too old.</summary>
    /// <param name="now">The wall clock. Samples from its future are dropped: it was set back.</param>
    /// <param name="cluster">What was seen.</param>
    public LagHistory With(DateTimeOffset now, ClusterSnapshot cluster)
    {
        if (Samples.Length > 0 && now >= Samples[^1].At && now - Samples[^1].At < Distance)
        {
            return this;
        }
        var bytes = ImmutableSortedDictionary.CreateBuilder<string, long>(StringComparer.Ordinal);
        foreach (var member in cluster.Members.Values.Take(MaximumMembers))
        {
            if (MemberOverview.From(cluster, member).LagBytes is { } lag)
            {
                bytes[member.Name] = lag;
            }
        }
        return new LagHistory(
            [.. Samples.Where(sample => sample.At <= now && now - sample.At < Span), new(now, bytes.ToImmutable())]);
    }
}
