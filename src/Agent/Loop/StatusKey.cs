using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;

namespace Routing.Agent.Loop;

/// <summary>Writes the <c>status</c> key: within a history its position never goes back.</summary>
/// <remarks>
/// The position bars standbys that lack too much from the race (<c>maximum_lag_on_failover</c>). What a server knows
/// after it was stopped in haste, or while it starts, lies before what its clients were told. Each write names the
/// revision that was seen, so that one that comes late, from a leader of an earlier term, changes nothing.
/// </remarks>
internal sealed class StatusKey(IClusterStore store, string self)
{
    private static readonly Write s_nothing = new("", 0, default, LeaderStatus.None);
    private volatile Write _last = s_nothing;

    /// <summary>Publishes the last position of a term; what else stands in the key stays as it is.</summary>
    /// <param name="optime">The position.</param>
    /// <param name="site">This leader's site; null: it tells none.</param>
    /// <param name="seen">A snapshot, which may be from before our last write.</param>
    /// <param name="term">The term of this leader.</param>
    /// <param name="promotedIn">The term in which this member was promoted last.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Done with revision 0: there was nothing to write.</returns>
    public Task<WriteOutcome> PublishLastAsync(
        Lsn optime, string? site, ClusterSnapshot seen, Term term, Term promotedIn,
        CancellationToken cancellationToken)
    {
        var last = _last;
        var newest = last.Term == term && last.Revision > seen.Status.ModRevision ? last.Status : seen.Status;
        return PublishAsync(
            newest with { Optime = optime, CurrentSite = site }, seen, term, promotedIn, cancellationToken);
    }

    /// <summary>Publishes, unless the key says the same already.</summary>
    /// <param name="status">What to publish; its position is raised to what this history has published before.</param>
    /// <param name="seen">The newest snapshot.</param>
    /// <param name="term">The term of this leader.</param>
    /// <param name="promotedIn">
    /// The term in which this member was promoted last: what earlier terms published is of another history then.
    /// </param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Done with revision 0: there was nothing to write.</returns>
    public async Task<WriteOutcome> PublishAsync(
        LeaderStatus status, ClusterSnapshot seen, Term term, Term promotedIn, CancellationToken cancellationToken)
    {
        for (var isFirst = true; ; isFirst = false)
        {
            // What was written in an earlier life of the store does not stand in this one.
            var last = _last.Term.Life == seen.Life.Number ? _last : s_nothing;
            var isOfEarlierHistory = promotedIn == term && seen.Status.ModRevision <= term.Revision;
            var floor = isOfEarlierHistory ? Lsn.Zero : seen.Status.Optime;
            // The snapshot may be older than our last write.
            floor = last.Term == term ? Lsn.Max(floor, last.Status.Optime) : floor;
            var published = status with { Optime = Lsn.Max(status.Optime, floor) };
            var text = KeyWriter.Status(published);
            if (text == last.Text && seen.Status.ModRevision <= last.Revision)
            {
                return new WriteOutcome(WriteStatus.Done);
            }
            var outcome = await store.PutAsync(
                ClusterKeys.Status, text, WriteCondition.Unchanged(Math.Max(seen.Status.ModRevision, last.Revision)), 0,
                cancellationToken);
            _last = outcome.IsDone
                ? new Write(text, outcome.Revision, term, published)
                : last with { Text = "", Revision = 0 };
            if (outcome.Status != WriteStatus.Conflict || !isFirst)
            {
                return outcome;
            }
            seen = await store.ReadAsync(cancellationToken);
            if (seen.Leader is { } leader && leader.Holder != self)
            {
                return outcome;   // another leader writes the key now
            }
        }
    }

    private sealed record Write(string Text, long Revision, Term Term, LeaderStatus Status);
}
