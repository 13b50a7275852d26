using Routing.Cluster;

namespace Routing.Agent.Loop;

// What a run knows of the store's earlier life.
internal sealed partial class AgentLoop
{
    private ClusterSnapshot? _seen;
    private ClusterSnapshot? _earlier;
    private TimeSpan _lifeSeenAt;
    private TimeSpan _earlierTtl;

    /// <summary>
    /// In a store that was set up anew or restored, what was known before counts until a leader has written the new
    /// one; the leader itself looks at the keys as they are.
    /// </summary>
    private ClusterSnapshot WithEarlierLife(ClusterSnapshot snapshot)
    {
        if (_seen is { } seen ? seen.Life.Number != snapshot.Life.Number : snapshot.Life.From > 0)
        {
            (_earlier, _lifeSeenAt, _earlierTtl) = (_seen ?? ClusterSnapshot.Empty, Now(), _timing.Ttl);
            // What was written to the earlier life does not stand in this one.
            (_failsafeWritten, _failsafePossible) = ("", null);
            _appliedConfigRevision = -1;
            _publisher.Forget();
        }
        if (_earlier is null || _keeper.Held is not null)
        {
            _seen = snapshot;
            return snapshot;
        }
        var ttl = _timing.Ttl > _earlierTtl ? _timing.Ttl : _earlierTtl;
        var isLate = Now() - _lifeSeenAt > ttl;
        // A key that is there for longer than a lease lives is being renewed: its holder leads.
        return _seen = isLate && snapshot.Leader is not null
            ? snapshot
            : EarlierLife.Complete(snapshot, _earlier, _member.Name, withMembers: !isLate);
    }
}
