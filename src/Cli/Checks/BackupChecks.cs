using System.Globalization;
using Routing.Cli.Backups;
using Routing.Cli.Rest;
using Routing.Cluster;

namespace Routing.Cli.Checks;

/// <summary>What the leader tells of the repository of backups.</summary>
internal sealed class BackupChecks(Session session, ClusterSnapshot snapshot)
{
    /// <summary>The findings; none where no member says that there is a repository.</summary>
    public async Task<IEnumerable<Finding>> RunAsync(CancellationToken cancellationToken)
    {
        if (snapshot.LeaderMember is not { Routing: not null } leader)
        {
            return [];
        }
        try
        {
            return Of(leader.Name, await RepositoryDocument.AskAsync(session, leader, cancellationToken));
        }
        catch (NoAnswerException)
        {
            return [];   // another check reports an agent that does not answer
        }
    }

    internal static IEnumerable<Finding> Of(string leader, RepositoryDocument repository)
    {
        if (repository.Stanza is null)
        {
            yield break;
        }
        if (repository.Archiver is { } archiver && (bool?)archiver["fails"] == true)
        {
            yield return ServerChecks.CannotArchive(
                leader, (string?)archiver["failed_wal"] ?? "WAL", (long?)archiver["failures"] ?? 0);
        }
        if (repository.Problem is { } problem)
        {
            yield return Finding.Error(leader, $"can't use the repository of backups: {problem}");
            yield break;
        }
        if (repository.Backups is not [.., var last])
        {
            yield return Finding.Error(leader, "has a repository without a backup");
            yield break;
        }
        var age = repository.Time - last.Stop;
        if (age > repository.MaximumAge)
        {
            yield return Finding.Warning(leader, string.Create(CultureInfo.InvariantCulture,
                $"has no backup of the last {repository.MaximumAge.TotalHours:0.#} h: the last one, {last.Label}, "
                    + $"ended {age.TotalHours:0.#} h ago"));
        }
        if (repository.MissingWal is { } missing)
        {
            yield return Finding.Error(leader,
                $"has a repository without the WAL {missing}: nothing can be restored to a later moment than that, "
                    + "until there is a new backup");
        }
        if (repository.WalProblem is { } unread)
        {
            yield return Finding.Warning(leader, $"can't look through the WAL in the repository: {unread}");
        }
    }
}
