using Routing.Cluster;

namespace Routing.Cli.Members;

/// <summary>
/// The words of <c>[CLUSTER] [MEMBER…]</c>, where the cluster's name may be left out when the configuration has a
/// scope.
/// </summary>
/// <param name="Cluster">The cluster's name.</param>
/// <param name="Members">The members that are named; none: all.</param>
internal sealed record MemberWords(string Cluster, IReadOnlyList<string> Members)
{
    /// <summary>
    /// Reads the words. The first one is the cluster where there is no scope, or where it is the scope.
    /// </summary>
    /// <exception cref="CtlException">No cluster is named, and there is no scope.</exception>
    public static MemberWords Read(Session session, IReadOnlyList<string> words) =>
        words is [var first, ..] && (session.Settings.Scope is not { } scope || first == scope)
            ? new MemberWords(first, [.. words.Skip(1)])
            : new MemberWords(session.ClusterName(null), words);

    /// <summary>The members that are meant, the leader first.</summary>
    /// <exception cref="CtlException">There is no such member, or none at all.</exception>
    public IReadOnlyList<Member> In(ClusterSnapshot snapshot)
    {
        foreach (var name in Members.Where(name => !snapshot.Members.ContainsKey(name)))
        {
            throw new CtlException(
                $"{name} is not a member of cluster {Cluster}",
                $"Possible: {string.Join(", ", snapshot.Members.Keys.Order(StringComparer.Ordinal))}.");
        }
        return snapshot.Members.IsEmpty
            ? throw new CtlException($"{Cluster} cluster doesn't have any members")
            : [.. MembersInOrder.LeaderFirst(snapshot)
                .Where(member => Members.Count == 0 || Members.Contains(member.Name))];
    }
}
