using Routing.Cluster.Overview;

namespace Routing.Cli.Output;

/// <summary>The members as a tree: each below the one that it streams from.</summary>
internal static class Topology
{
    /// <summary>The members from the root down, with their names indented by their depth.</summary>
    /// <remarks>
    /// Without a leader the root has no name. Members that name each other in a circle stand below the root.
    /// </remarks>
    public static IEnumerable<(string Label, MemberOverview Member)> Order(IReadOnlyCollection<MemberOverview> members)
    {
        var leader = members.FirstOrDefault(IsLeader);
        var replicas =
            members.Where(member => !IsLeader(member)).ToDictionary(member => member.Name, StringComparer.Ordinal);
        var children = replicas.Values.ToLookup(member => ParentOf(member, replicas)?.Name, StringComparer.Ordinal);
        return (leader is null ? [] : new[] { (leader.Name, leader) }).Concat(Below(null, 1));

        IEnumerable<(string Label, MemberOverview Member)> Below(string? parent, int depth) =>
            from child in children[parent].OrderBy(child => child.Name, StringComparer.Ordinal)
            from row in Below(child.Name, depth + 1)
                .Prepend(($"{new string(' ', (depth - 1) * 2)}+ {child.Name}", child))
            select row;
    }

    private static bool IsLeader(MemberOverview member) => member.Role.EndsWith("leader", StringComparison.Ordinal);

    /// <summary>The replica that the member streams from, or null for the leader.</summary>
    private static MemberOverview? ParentOf(MemberOverview member, Dictionary<string, MemberOverview> replicas)
    {
        var parent = Named(member);
        var ancestor = parent;
        for (var steps = 0; ancestor is not null; ancestor = Named(ancestor), steps++)
        {
            if (ancestor == member || steps > replicas.Count)
            {
                return null;
            }
        }
        return parent;

        MemberOverview? Named(MemberOverview one) =>
            one.Tags.ReplicateFrom is { } name && name != one.Name ? replicas.GetValueOrDefault(name) : null;
    }
}
