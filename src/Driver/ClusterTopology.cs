using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Dcs;

namespace Routing.Driver;

/// <summary>What is known of the cluster at one moment. Never changed.</summary>
public sealed record ClusterTopology
{
    /// <summary>The cluster's name.</summary>
    public required string Cluster { get; init; }

    /// <summary>Grows with each leader; 0 before one was seen.</summary>
    public long Term { get; init; }

    /// <summary>The member that may be written to; null: none.</summary>
    public string? Leader { get; init; }

    /// <summary>Why there is no leader; null: there is one.</summary>
    public string? NoLeaderReason { get; init; }

    /// <summary>The members by name.</summary>
    public ImmutableArray<TopologyMember> Members { get; init; } = [];

    /// <summary>False: the source is silent, and this is what it said last.</summary>
    public bool IsLive { get; init; }

    /// <summary>False: the source has not answered yet.</summary>
    public bool IsKnown { get; init; }

    /// <summary>When the source last gave a sign of life, counted back from now; null: never.</summary>
    public TimeSpan? Age { get; init; }

    /// <summary>
    /// Why the source does not answer, such as <c>http://10.0.0.1:2379: connection refused</c>; null while it does, or
    /// where it is not known.
    /// </summary>
    public string? Problem { get; init; }

    /// <summary>One sentence for people.</summary>
    public override string ToString()
    {
        if (!IsKnown)
        {
            return Problem is null ? "its source has not answered yet" : $"its source has not answered yet ({Problem})";
        }
        var text = new StringBuilder();
        text.Append(Leader is null ? $"no leader ({NoLeaderReason})" : $"{Leader} leads");
        text.Append(CultureInfo.InvariantCulture,
            $", term {Term}; members {(Members.IsEmpty ? "none" : string.Join(", ", Members))}");
        if (!IsLive)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"; its source has been silent for {Age?.TotalSeconds ?? 0:0.0} s");
            text.Append(Problem is null ? "" : $" ({Problem})");
        }
        return text.ToString();
    }

    internal static ClusterTopology From(
        string cluster, ClusterView view, Term highestTerm, TimeProvider time, string? problem)
    {
        var snapshot = view.Snapshot;
        var leader = HostChooser.LeaderOf(snapshot, highestTerm, out var reason);
        return new ClusterTopology
        {
            Cluster = cluster,
            Problem = problem,
            Term = highestTerm.Revision,
            Leader = leader?.Name,
            NoLeaderReason = leader is null ? reason : null,
            IsLive = view.IsLive,
            IsKnown = snapshot.Revision != 0,
            Age = view.LastContact == 0 ? null : view.IsLive ? TimeSpan.Zero : time.GetElapsedTime(view.LastContact),
            Members =
            [
                .. snapshot.Members.Values.Select(member => new TopologyMember(
                    member.Name, member.Address?.Host, member.Address?.Port ?? 0, Lower(member.Role),
                    Lower(member.State),
                    ReferenceEquals(member, leader) ? null : HostChooser.LagOf(snapshot, member))),
            ],
        };
    }

    private static string Lower<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();
}
