using Routing.Cluster;

namespace Routing.Cli.Members;

/// <summary>The order in which members are asked.</summary>
internal static class MembersInOrder
{
    /// <summary>The leader first, then the others by name: for what any member can do, and the leader best.</summary>
    public static IEnumerable<Member> LeaderFirst(ClusterSnapshot snapshot) =>
        snapshot.Members.Values.OrderBy(member => member.Name == snapshot.Leader?.Holder ? 0 : 1)
            .ThenBy(member => member.Name, StringComparer.Ordinal);

    /// <summary>The leader last: for what stops a server for a moment.</summary>
    public static IEnumerable<Member> LeaderLast(ClusterSnapshot snapshot, IEnumerable<Member> members) =>
        members.OrderBy(member => member.Name == snapshot.Leader?.Holder ? 1 : 0)
            .ThenBy(member => member.Name, StringComparer.Ordinal);
}
