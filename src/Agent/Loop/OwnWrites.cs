using System.Collections.Immutable;
using Routing.Agent.Native;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Agent.Loop;

/// <summary>What this agent has written itself, for as long as the watch does not show it.</summary>
internal sealed class OwnWrites(TopologyWatch watch, LeaseKeeper keeper, string self, TimeProvider time)
{
    private static readonly TimeSpan s_barrier = TimeSpan.FromMilliseconds(500);

    private ImmutableSortedDictionary<string, string> _failsafe = ImmutableSortedDictionary<string, string>.Empty;
    private ImmutableSortedDictionary<string, string>? _possible;
    private int _failsafeLife;
    private long _failsafeRevision;

    /// <summary>Waits until the watch shows a write of this agent, so that no decision is taken twice.</summary>
    /// <param name="revision">The revision of the last write; 0: there was none.</param>
    /// <param name="life">The life of the store that it was written to; null: none was seen yet.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task SeeAsync(long revision, StoreLife? life, CancellationToken cancellationToken)
    {
        if (revision == 0)
        {
            return;
        }
        using var limit = TimedToken.After(s_barrier, time, cancellationToken);
        try
        {
            var view = watch.Current;
            while (view.IsLive && view.Snapshot.Revision < revision && view.Snapshot.Life == life)
            {
                view = await watch.WaitForNewerAsync(view, limit.Token);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The watch lags: the decision uses the snapshot that there is; every write is conditional.
        }
    }

    /// <summary>The snapshot with what is known better.</summary>
    public ClusterSnapshot Over(ClusterSnapshot snapshot) => WithFailsafe(WithLeaderKey(snapshot));

    /// <summary>This list of failsafe members is about to be written.</summary>
    /// <param name="members">Their REST addresses by name.</param>
    /// <param name="life">The life of the store that it is written to, by its number.</param>
    public void WritesFailsafe(ImmutableSortedDictionary<string, string> members, int life)
    {
        var possible = life == _failsafeLife ? _possible : null;
        (_failsafe, _possible, _failsafeRevision) =
            (members, (possible ?? members).SetItems(members), possible is null ? 0 : _failsafeRevision);
        _failsafeLife = life;
    }

    /// <summary>The list that was about to be written stands in the DCS.</summary>
    /// <param name="revision">The revision of that write.</param>
    public void HasWrittenFailsafe(long revision) => _failsafeRevision = revision;

    /// <summary>What the keeper knows of the leader key may be newer than the watch.</summary>
    private ClusterSnapshot WithLeaderKey(ClusterSnapshot snapshot)
    {
        if (keeper.Held is { } held && (held.Term.Life > snapshot.Life.Number
            || (held.Term.Life == snapshot.Life.Number && held.ModRevision > snapshot.Revision)))
        {
            return snapshot with { Leader = held };
        }
        if (snapshot.Leader is { } leader && leader.Holder == self && leader.Term <= keeper.ReleasedTerm)
        {
            return snapshot with { Leader = null };
        }
        return snapshot;
    }

    /// <summary>
    /// Until the view shows the list that was written last, each list that may be in force counts: a member that one
    /// of them names may race, and has to be asked.
    /// </summary>
    private ClusterSnapshot WithFailsafe(ClusterSnapshot snapshot)
    {
        if (snapshot.Life.Number != _failsafeLife)
        {
            _possible = null;   // a write to the earlier life of the store is not in this one
        }
        if (_possible is null || keeper.Held is null)
        {
            return snapshot;
        }
        if (snapshot.Failsafe is not { } seen)
        {
            // Without an answer it is open whether there is a list: where there is none, any member may race.
            return _failsafeRevision > snapshot.Revision ? snapshot with { Failsafe = _possible } : snapshot;
        }
        if (seen.Count == _failsafe.Count
            && seen.All(pair => _failsafe.GetValueOrDefault(pair.Key) == pair.Value))
        {
            _possible = null;
            return snapshot;
        }
        return snapshot with { Failsafe = seen.SetItems(_possible) };
    }
}
