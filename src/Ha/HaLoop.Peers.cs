using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha;

// Which members a race asks, and which answers count.
public static partial class HaLoop
{
    /// <summary>
    /// The members that a race has to ask: the members, those that departed since a member led, and the failsafe
    /// members.
    /// </summary>
    /// <remarks>
    /// A synchronous mode narrows them down to the members of the synchronous state. A member that may be a primary is
    /// asked all the same.
    /// </remarks>
    private static ImmutableArray<Member> PeersOf(Observation o)
    {
        var cluster = o.Cluster!;
        var known = ImmutableSortedDictionary.CreateBuilder<string, Member>(StringComparer.Ordinal);
        if (o.Config.FailsafeMode && cluster.Failsafe is { } failsafe)
        {
            foreach (var (name, url) in failsafe)
            {
                known[name] = new Member { Name = name, ApiUrl = url };
            }
        }
        foreach (var (name, departed) in o.Memory.Members.Departed)
        {
            known[name] = departed.Member;
        }
        foreach (var member in cluster.Members.Values.Where(m => m.ApiUrl is not null))
        {
            known[member.Name] = member;
        }
        known.Remove(o.Self);
        return [.. known.Values.Where(m => IsCompared(o, m.Name) || MayBePrimary(o, m))];
    }

    /// <summary>
    /// Whether the member's position counts in this race: with a synchronous state only its members, else all.
    /// </summary>
    private static bool IsCompared(Observation o, string name) =>
        !IsSyncActive(o) || o.Cluster!.Sync.Includes(name) || IsNamed(o, name);

    private static bool MayBePrimary(Observation o, Member member) =>
        member.Role is Role.Primary or Role.Promoted || o.Memory.Members.IsAfterPause(o.Now)
        || o.Memory.Members.Departed.GetValueOrDefault(member.Name) is { MayBePrimary: true };

    private static bool IsNamed(Observation o, string member) =>
        o.Cluster!.Failover is { } request && (request.Candidate == member || request.Leader == member);

    /// <summary>
    /// Whether the member's key vanished in a pause: the member may be a primary then that no guard stops.
    /// </summary>
    private static bool IsLostInPause(Observation o, string name) =>
        o.Memory.Members.Departed.GetValueOrDefault(name) is { InPause: true };

    /// <summary>
    /// Whether the member has had no member key for one ttl: it cannot take the leader key then, so that no other
    /// member waits for its WAL.
    /// </summary>
    private static bool IsGoneForLong(Observation o, string name) =>
        !IsEarly(o) && o.Cluster!.Members.GetValueOrDefault(name)?.ApiUrl is null;

    /// <summary>
    /// Whether all of the members were asked in the last run. However long this member has looked at its own server
    /// since, a second question would bring no newer answers.
    /// </summary>
    private static bool AreFresh(Observation o, ImmutableArray<string> names, TimeSpan notBefore) =>
        o.Peers is { } peers && peers.AskedAt >= notBefore && o.Now - o.Took - peers.AnsweredAt <= s_answersAge
        && names.All(peers.Reports.ContainsKey);

    /// <summary>
    /// The answers without those of other clusters: an address may have been given to a member of another cluster
    /// since.
    /// </summary>
    private static PeerAnswers? OfThisCluster(Observation o, PeerAnswers? peers)
    {
        if (peers is null || o.Cluster!.Initialize.SystemId is not { } own)
        {
            return peers;
        }
        foreach (var report in peers.Reports.Values.Where(r => r.SystemId is { } other && other != own))
        {
            var why = $"its address answers for a database with the system identifier {report.SystemId}";
            peers =
                peers with { Reports = peers.Reports.SetItem(report.Name, PeerReport.Unreachable(report.Name, why)) };
        }
        return peers;
    }

    /// <summary>Which answer of a peer will be another one in a moment; null when all count as they are.</summary>
    private static string? Unsettled(Observation o)
    {
        foreach (var peer in o.Peers!.Reports.Values)
        {
            if (IsStale(o, peer) && IsCompared(o, peer.Name))
            {
                // Its position is from before the leader was gone: it may have received more since.
                return $"{peer.Name} has not looked at the DCS since the leader is gone";
            }
            if (IsWalUnread(peer) && IsCompared(o, peer.Name))
            {
                return $"{peer.Name} does not know yet where its WAL ends";
            }
            if (IsLivingPrimary(o, peer) && !o.Local.IsPrimary)
            {
                // A leader that steps down has given the key up a moment before its server has ended.
                return $"{peer.Name} still runs as a primary";
            }
        }
        return null;
    }

    /// <summary>
    /// Whether the peer's server was started a moment ago: it reports no position until it has read its WAL.
    /// </summary>
    private static bool IsWalUnread(PeerReport peer) =>
        peer is { Reachable: true, IsPrimary: false, State: PostgresState.Running, Age: not null }
        && peer.Position == Lsn.Zero;

    /// <summary>The position that it reported is older than the end of the last leader's term.</summary>
    private static bool IsStale(Observation o, PeerReport report) =>
        report is { Reachable: true, Age: { } age } && o.Peers!.AskedAt - age < (o.Memory.UnlockedSince ?? o.Now);

    private static bool IsLivingPrimary(Observation o, PeerReport peer) =>
        peer is { Reachable: true, IsPrimary: true } && !IsFencedByNow(o, peer);

    /// <summary>
    /// Whether the peer's agent has hung for two ttl and still reports an old state. Its guards were on, so its fence
    /// has stopped the server.
    /// </summary>
    private static bool IsFencedByNow(Observation o, PeerReport peer)
    {
        var member = o.Cluster!.Members.GetValueOrDefault(peer.Name)
            ?? o.Memory.Members.Departed.GetValueOrDefault(peer.Name)?.Member;
        return peer is { Paused: false, Age: { } age } && age > o.Timing.Ttl * 2 && !IsEarly(o)
            && !IsLostInPause(o, peer.Name) && member is { Routing.Fence: true };
    }

    private static Refusal? AnotherPrimary(Observation o)
    {
        var primary = o.Peers?.Reports.Values.FirstOrDefault(peer => IsLivingPrimary(o, peer));
        return primary is null
            ? null
            : new Refusal("primary_alive", $"does not race: {primary.Name} still runs as a primary");
    }
}
