using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha;

// What would be decided if things were otherwise: nothing here is ever performed.
public static partial class HaLoop
{
    /// <summary>What this member would decide if the leader were gone at this moment.</summary>
    /// <remarks>
    /// The rules are those of a race; what the other members would answer is taken from their keys, so that nobody is
    /// asked. The leader, and every member that is a primary, counts as unreachable.
    /// </remarks>
    /// <param name="o">What the last run saw; the DCS has answered.</param>
    /// <returns>The decision: it takes the leader key, or says by which rule it does not.</returns>
    public static Decision IfLeaderless(Observation o)
    {
        var cluster = o.Cluster!;
        var reports = cluster.Members.Values.Where(member => member.Name != o.Self)
            .Select(member => ReportOf(member, cluster))
            .ToImmutableSortedDictionary(report => report.Name, report => report, StringComparer.Ordinal);
        foreach (var (name, _) in o.Memory.Members.Departed.Where(pair => !reports.ContainsKey(pair.Key)))
        {
            reports = reports.SetItem(name, PeerReport.Unreachable(name, "it has no member key"));
        }
        foreach (var name in cluster.Failsafe?.Keys.Where(name => name != o.Self && !reports.ContainsKey(name)) ?? [])
        {
            reports = reports.SetItem(name, PeerReport.Unreachable(name, "it has no member key"));
        }
        return DecideRace(o with
        {
            Cluster = cluster with { Leader = null },
            Lease = o.Lease with { HoldsLeader = false, IsUncertain = false },
            // The time that a race is put off says nothing about its winner.
            Config = o.Config with { PrimaryRaceBackoff = TimeSpan.Zero },
            Memory = o.Memory with { UnlockedSince = o.Now },
            Peers = new PeerAnswers(o.Now, o.Now, reports),
            Took = TimeSpan.Zero,
        });
    }

    private static PeerReport ReportOf(Member member, ClusterSnapshot cluster) =>
        member.Name == cluster.Leader?.Holder || member.Role is Role.Primary or Role.Promoted
            ? PeerReport.Unreachable(member.Name, "it is the leader that is taken to be gone")
            : new PeerReport(
                member.Name, true, IsPrimary: false, member.XlogLocation ?? Lsn.Zero, member.Timeline ?? 0,
                member.Tags.NoFailover, member.Tags.FailoverPriority)
            {
                Role = member.Role,
                State = member.State,
            };
}
