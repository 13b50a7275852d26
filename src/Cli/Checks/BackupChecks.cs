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
        if (repository.Archiver is { } archiver && (string?)archiver["last_wal"] is { Length: >= 24 } archived
            && string.CompareOrdinal(archived[..24], repository.LastWal ?? "") > 0)
        {
            yield return Finding.Error(leader,
                $"has archived {archived[..24]}, and the repository ends at {repository.LastWal ?? "nothing"}: WAL is "
                    + "missing there");
        }
    }
}
