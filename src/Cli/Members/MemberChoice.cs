using Routing.Cli.Output;
using Routing.Cluster;
using Routing.Cluster.Text;

namespace Routing.Cli.Members;

/// <summary>
/// Finds the members that a command is about: shows the table, checks the names, asks where nothing was said.
/// </summary>
/// <param name="session">The command's session.</param>
/// <param name="cluster">The cluster's name.</param>
/// <param name="group">Its Citus group, or null.</param>
/// <param name="action">What is going to be done, as a verb: it stands in the questions.</param>
/// <param name="force">Ask nothing.</param>
internal sealed class MemberChoice(Session session, string cluster, int? group, string action, bool force)
{
    /// <summary>The members that are meant, by name.</summary>
    /// <param name="snapshot">The cluster.</param>
    /// <param name="names">The names that were given; empty: all members of the role.</param>
    /// <param name="role">A word of <see cref="RoleFilter"/>.</param>
    /// <param name="mustName">Ask for a member where none is named, rather than take all.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="CtlException">There is no such member.</exception>
    public async Task<IReadOnlyList<Member>> ChooseAsync(
        ClusterSnapshot snapshot, IReadOnlyCollection<string> names, string role, bool mustName,
        CancellationToken cancellationToken)
    {
        var candidates = RoleFilter.Of(snapshot, role).ToDictionary(member => member.Name, StringComparer.Ordinal);
        if (snapshot.Members.IsEmpty)
        {
            session.HintIfUnknown(snapshot, cluster, group);
            throw new CtlException($"{cluster} cluster doesn't have any members");
        }
        if (!force)
        {
            MemberTable.Print(session.Screen.Output, snapshot, cluster, group, OutputFormat.Pretty);
        }
        var wanted = names.Distinct(StringComparer.Ordinal).ToArray();
        foreach (var name in wanted.Where(name => !candidates.ContainsKey(name)))
        {
            throw new CtlException(
                snapshot.Members.ContainsKey(name)
                    ? $"{name} is not a member in the role {role}"
                    : $"{name} is not a member of cluster",
                $"Possible: {string.Join(", ", candidates.Keys.Order(StringComparer.Ordinal))}.");
        }
        if (candidates.Count == 0)
        {
            throw new CtlException($"Cluster {cluster} has no member in the role {role}");
        }
        if (wanted.Length == 0)
        {
            wanted = mustName ? [await AskAsync(candidates, cancellationToken)] : [.. candidates.Keys];
        }
        return [.. wanted.Order(StringComparer.Ordinal).Select(name => candidates[name])];
    }

    /// <summary>Asks whether it shall be done.</summary>
    /// <exception cref="CtlException">The operator declined.</exception>
    public async Task ConfirmAsync(
        IEnumerable<Member> members, DateTimeOffset? scheduledAt, CancellationToken cancellationToken)
    {
        if (force)
        {
            return;
        }
        var names = string.Join(", ", members.Select(member => member.Name));
        var question = scheduledAt is { } at
            ? $"Are you sure you want to schedule {action} of members {names} at {IsoTime.Format(at)}?"
            : $"Are you sure you want to {action} members {names}?";
        if (!await session.Prompts.ConfirmAsync(question, cancellationToken))
        {
            throw new CtlException($"Aborted {(scheduledAt is null ? "" : "scheduled ")}{action}");
        }
    }

    private async Task<string> AskAsync(Dictionary<string, Member> candidates, CancellationToken cancellationToken)
    {
        var choice = string.Join(", ", candidates.Keys.Order(StringComparer.Ordinal));
        if (force)
        {
            throw new CtlException("No member is named.", $"Possible: {choice}.");
        }
        var name =
            await session.Prompts.AskAsync($"Which member do you want to {action} [{choice}]?", "", cancellationToken);
        return candidates.ContainsKey(name)
            ? name
            : throw new CtlException($"{name} is not a member of cluster", $"Possible: {choice}.");
    }
}
