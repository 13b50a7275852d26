using Routing.Cluster;

namespace Routing.Ha.Synchronous;

/// <summary>A peer's answer in a race.</summary>
/// <param name="Name">The peer's name.</param>
/// <param name="Lsn">The member's WAL position; 0/0 when it reported none.</param>
/// <param name="Timeline">
/// Its timeline; 0 when it named none. A higher one is ahead whatever the position: a member that was away while
/// another led may hold more bytes, but not those that count.
/// </param>
public sealed record PeerPosition(string Name, Lsn Lsn, uint Timeline = 0);

/// <summary>The outcome of counting votes.</summary>
/// <param name="Wins">Whether the candidate may take the leader key without losing an acknowledged commit.</param>
/// <param name="Votes">
/// The other voters that hold no more WAL than the candidate; one less for a candidate that is no voter.
/// </param>
/// <param name="Needed">The votes that the <c>sync</c> key demands.</param>
/// <param name="Reason">One sentence for the operator.</param>
public sealed record QuorumVoteResult(bool Wins, int Votes, int Needed, string Reason);

/// <summary>Counts the votes of a race in quorum mode.</summary>
public static class QuorumVote
{
    /// <summary>Whether a candidate saw enough voters to be sure that it holds every acknowledged commit.</summary>
    /// <param name="sync">The <c>sync</c> key, of an active synchronous state.</param>
    /// <param name="self">The candidate.</param>
    /// <param name="own">The candidate's WAL position.</param>
    /// <param name="peers">
    /// The usable answers: reachable, in recovery, and of members that may lead or are at least voters.
    /// </param>
    /// <param name="ownTimeline">The candidate's timeline; 0 when unknown.</param>
    public static QuorumVoteResult Evaluate(
        SyncState sync, string self, Lsn own, IEnumerable<PeerPosition> peers, uint ownTimeline = 0)
    {
        var votes = sync.Includes(self) ? 0 : -1;
        PeerPosition? ahead = null;
        foreach (var peer in peers)
        {
            if (string.Equals(peer.Name, self, StringComparison.OrdinalIgnoreCase))
            {
                continue;
            }
            if (IsAhead(peer, own, ownTimeline))
            {
                ahead ??= peer;
            }
            else if (peer.Lsn > Lsn.Zero && !sync.IsOwner(peer.Name) && sync.Standbys.Contains(peer.Name))
            {
                votes++;
            }
        }
        if (votes >= sync.Quorum)
        {
            return new QuorumVoteResult(true, votes, sync.Quorum, $"has {votes} of {sync.Quorum} votes needed");
        }
        return ahead is null && sync.IsOwner(self)
            ? new QuorumVoteResult(true, votes, sync.Quorum,
                "owned the synchronous state and nobody reachable is ahead")
            : new QuorumVoteResult(false, votes, sync.Quorum, $"has {votes} of {sync.Quorum} votes needed");
    }

    /// <summary>
    /// More bytes, or a later timeline. A member that is told apart by one of the two alone gives no vote: that is only
    /// ever too strict.
    /// </summary>
    private static bool IsAhead(PeerPosition peer, Lsn own, uint ownTimeline) =>
        peer.Lsn > own || (peer.Timeline > ownTimeline && ownTimeline != 0);
}
