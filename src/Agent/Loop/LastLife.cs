using Routing.Cluster;

namespace Routing.Agent.Loop;

/// <summary>What this agent knew of the cluster before its store was set up anew or restored.</summary>
internal sealed class LastLife(LeaseKeeper keeper, LoopClock clock, string self)
{
    private ClusterSnapshot? _seen;
    private ClusterSnapshot? _earlier;
    private TimeSpan _beganAt;
    private TimeSpan _earlierTtl;

    /// <summary>The life of the store that was seen last; null before the first snapshot.</summary>
    public StoreLife? Seen => _seen?.Life;

    /// <summary>
    /// In a store that was set up anew or restored, what was known before counts until a leader has written the new
    /// one; the leader itself looks at the keys as they are.
    /// </summary>
    /// <param name="snapshot">The keys as they are.</param>
    /// <param name="ttl">The ttl in force.</param>
    public ClusterSnapshot Complete(ClusterSnapshot snapshot, TimeSpan ttl)
    {
        if (_seen is { } seen ? seen.Life.Number != snapshot.Life.Number : snapshot.Life.From > 0)
        {
            (_earlier, _beganAt, _earlierTtl) = (_seen ?? ClusterSnapshot.Empty, clock.Now, ttl);
        }
        if (_earlier is null || keeper.Held is not null)
        {
            return _seen = snapshot;
        }
        var longer = ttl > _earlierTtl ? ttl : _earlierTtl;
        var isLate = clock.Now - _beganAt > longer;
        // A key that is there for longer than a lease lives is being renewed: its holder leads.
        return _seen = isLate && snapshot.Leader is not null
            ? snapshot
            : EarlierLife.Complete(snapshot, _earlier, self, withMembers: !isLate);
    }
}
