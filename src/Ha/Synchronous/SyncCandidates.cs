using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Synchronous;

/// <summary>A standby that may be synchronous.</summary>
/// <param name="Member">The standby's member record.</param>
/// <param name="SyncState">What PostgreSQL says of it.</param>
/// <param name="Lsn">The position that commits wait for.</param>
internal sealed record SyncCandidate(Member Member, string SyncState, Lsn Lsn)
{
    public string Name => Member.Name;
}

/// <summary>Finds the standbys that may be synchronous, the preferred ones first.</summary>
internal static class SyncCandidates
{
    /// <summary>All standbys that stream and may be synchronous, whatever their lag.</summary>
    public static ImmutableArray<SyncCandidate> Streaming(SyncObservation o)
    {
        var streaming = NameSet.Of(o.Senders.Where(IsStreaming).Select(sender => sender.ApplicationName));
        var members = o.Members.Values.ToLookup(member => member.Name, StringComparer.OrdinalIgnoreCase);
        return
        [
            .. from sender in o.Senders
               where IsStreaming(sender)
               let lsn = sender.AcknowledgedLsn(o.SynchronousCommit)
               where lsn is not null
               from member in members[sender.ApplicationName].Take(1)
               where member.State == PostgresState.Running && !member.Tags.NoSync && !Same(member.Name, o.Self)
               where !(member.Tags.ReplicateFrom is { } upstream && members.Contains(upstream)
                   && streaming.Contains(upstream))
               let candidate = new SyncCandidate(member, sender.SyncState, lsn.Value)
               group candidate by member.Name into rows
               select rows.MaxBy(row => row.Lsn) into best
               orderby best.Member.Tags.NoFailover,
                   best.Member.Tags.SyncPriority descending,
                   best.SyncState descending,
                   best.Lsn descending,
                   best.Name
               select best,
        ];

        static bool IsStreaming(WalSender sender) => sender.State == "streaming";
    }

    /// <summary>The standbys that shall be synchronous.</summary>
    /// <param name="o">The observation.</param>
    /// <param name="streaming">The result of <see cref="Streaming"/>.</param>
    /// <param name="count">How many a commit shall wait for.</param>
    /// <param name="all">
    /// All that may, and not just as many as are needed; members that never lead only fill up to the count.
    /// </param>
    public static ImmutableSortedSet<string> Pick(
        SyncObservation o, ImmutableArray<SyncCandidate> streaming, int count, bool all)
    {
        var near = streaming.AsEnumerable();
        if (o.Config.MaximumLagOnSyncNodeBytes > 0 && !streaming.IsEmpty)
        {
            var best = streaming.Length > 1 ? streaming.Max(candidate => candidate.Lsn) : o.FlushLsn;
            near =
                near.Where(candidate => best.BytesAheadOf(candidate.Lsn) <= (ulong)o.Config.MaximumLagOnSyncNodeBytes);
        }
        var picked = NameSet.Empty;
        foreach (var candidate in near)
        {
            if (picked.Count < count || (all && !candidate.Member.Tags.NoFailover))
            {
                picked = picked.Add(candidate.Name);
            }
        }
        return picked;
    }

    private static bool Same(string left, string right) =>
        string.Equals(left, right, StringComparison.OrdinalIgnoreCase);
}
