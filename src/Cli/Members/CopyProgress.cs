using System.Collections.Immutable;
using Routing.Cli.Rest;
using Routing.Cluster;

namespace Routing.Cli.Members;

/// <summary>How far the members are that copy data or replay WAL, by their own word.</summary>
internal static class CopyProgress
{
    /// <summary>A list does not wait longer for what is only an addition to it.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A sentence for each member that makes a copy, or starts, and says how far it is. Others are not asked.
    /// </summary>
    public static async Task<ImmutableDictionary<string, string>> AskAsync(
        Session session, ClusterSnapshot snapshot, CancellationToken cancellationToken)
    {
        var copying = snapshot.Members.Values
            .Where(member => member is
            {
                State: PostgresState.CreatingReplica or PostgresState.Initdb or PostgresState.CustomBootstrap
                    or PostgresState.Starting,
                ApiUrl: not null,
            })
            .ToArray();
        if (copying.Length == 0)
        {
            return ImmutableDictionary<string, string>.Empty;
        }
        var answers = await Task.WhenAll(copying.Select(async member =>
        {
            try
            {
                var status = await MemberStatus.AskAsync(session.Api, member, s_patience, cancellationToken);
                return (member.Name, Progress: status.IsMeasured || member.State != PostgresState.Starting
                    ? status.Progress
                    : null);   // a short start has nothing to tell
            }
            catch (NoAnswerException)
            {
                return (member.Name, Progress: null);   // its state stands in the list all the same
            }
        }));
        return answers
            .Where(answer => answer.Progress is not null)
            .ToImmutableDictionary(answer => answer.Name, answer => answer.Progress!);
    }
}
