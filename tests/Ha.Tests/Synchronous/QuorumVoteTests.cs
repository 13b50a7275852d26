using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha.Synchronous;
using Xunit;

namespace Routing.Ha.Tests.Synchronous;

public sealed class QuorumVoteTests
{
    [Theory]
    //          owner, voters, quorum, candidate and peers as name:lsn[:timeline] → wins
    [InlineData("a", "b,c", 1, "b:10", "c:10", true)]
    [InlineData("a", "b,c", 1, "b:10", "", false)]
    [InlineData("a", "b,c", 1, "b:10", "c:0", false)]          // c named no position
    [InlineData("a", "b,c", 1, "b:10", "c:11", false)]
    [InlineData("a", "b,c", 1, "b:10", "a:10", false)]         // the owner is no voter
    [InlineData("a", "b,c", 0, "b:10", "", true)]
    [InlineData("a", "b,c", 1, "d:10", "b:9,c:9", true)]       // an outsider needs one more
    [InlineData("a", "b,c", 1, "d:10", "b:9", false)]
    [InlineData("a", "b,c", 1, "a:10", "", true)]              // the owner, and nobody is ahead
    [InlineData("a", "b,c", 1, "a:10", "c:11", false)]
    [InlineData("A", "B,C", 1, "b:10", "c:10", true)]
    [InlineData("a", "b,c", 1, "b:10:1", "c:9:2", false)]      // fewer bytes of a later timeline are ahead
    // nor is the other way round a vote: it may be misreported
    [InlineData("a", "b,c", 1, "b:10:2", "c:11:1", false)]
    [InlineData("a", "b,c", 1, "b:10:2", "c:10:0", true)]
    public void Candidate_wins_when_it_saw_enough_voters(
        string owner, string voters, int quorum, string candidate, string peers, bool wins)
    {
        var sync = new SyncState(
            owner, ImmutableSortedSet.CreateRange(StringComparer.OrdinalIgnoreCase, voters.Split(',')), quorum, 1);
        var self = Peer(candidate);

        var result = QuorumVote.Evaluate(
            sync, self.Name, self.Lsn, peers.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(Peer),
            self.Timeline);

        Assert.Equal(wins, result.Wins);
    }

    private static PeerPosition Peer(string text)
    {
        var parts = text.Split(':');
        return new PeerPosition(parts[0], new Lsn(ulong.Parse(parts[1])), parts.Length > 2 ? uint.Parse(parts[2]) : 0);
    }
}
