using Routing.Cluster;

namespace Routing.Agent.Loop;

/// <summary>Which changes of the cluster can change a decision.</summary>
internal static class WakeRules
{
    /// <summary>Positions and the leader's status change all the time and wake no loop; everything else does.</summary>
    public static bool Matters(ClusterSnapshot? before, ClusterSnapshot after, string self)
    {
        if (before is null || before.Life != after.Life || before.Leader != after.Leader
            || before.Initialize != after.Initialize
            || before.Failover != after.Failover || before.Switchover != after.Switchover
            || (after.Intent?.Leader == self && before.Routers != after.Routers) || before.Restore != after.Restore
            || before.Config?.ModRevision != after.Config?.ModRevision
            || before.Sync.ModRevision != after.Sync.ModRevision || before.Members.Count != after.Members.Count)
        {
            return true;
        }
        foreach (var (name, member) in after.Members)
        {
            var old = before.Members.GetValueOrDefault(name);
            if (ReferenceEquals(old, member))
            {
                continue;
            }
            if (old is null || old.State != member.State || old.Role != member.Role || old.Address != member.Address
                || old.ApiUrl != member.ApiUrl
                || old.CheckpointAfterPromotePending != member.CheckpointAfterPromotePending
                || old.Timeline != member.Timeline || old.ReplicationState != member.ReplicationState
                || (name == self && old.LeaseId != member.LeaseId) || !SameTags(old.Tags, member.Tags))
            {
                return true;
            }
        }
        return false;
    }

    private static bool SameTags(MemberTags left, MemberTags right) =>
        left.Values.Count == right.Values.Count
        && left.Values.All(
            pair => right.Values.TryGetValue(pair.Key, out var value) && value.ToString() == pair.Value.ToString());
}
