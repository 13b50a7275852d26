using Routing.Cluster;

namespace Routing.Ha;

/// <summary>
/// The highest position that leaders have published in <c>status</c>, in the history that the last of them wrote.
/// </summary>
/// <remarks>
/// A leader that ends in haste may publish less than it has published before. A new leader may begin lower, since its
/// history may have forked off earlier: so the first position that is written in a term counts anew.
/// </remarks>
/// <param name="Highest">The position; 0/0 when none is known.</param>
/// <param name="Term">The term whose leader published it; none while only earlier ones did.</param>
public readonly record struct PublishedPosition(Lsn Highest, Term Term)
{
    /// <summary>What is known after a look at the cluster.</summary>
    public PublishedPosition After(ClusterSnapshot cluster)
    {
        var status = cluster.Status;
        return cluster.Leader is { } leader && leader.Term != Term
            && status.ModRevision > Math.Max(leader.Term.Revision, cluster.Life.From)
            ? new PublishedPosition(status.Optime, leader.Term)
            : status.Optime > Highest ? this with { Highest = status.Optime } : this;
    }
}
