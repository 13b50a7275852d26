using System.Text.Json;
using System.Text.Json.Nodes;
using Routing.Cli.Members;
using Routing.Cluster;
using Routing.Cluster.Events;

namespace Routing.Cli.Events;

/// <summary>What the members' diaries hold now, together and in one order.</summary>
/// <param name="Events">The events by time.</param>
/// <param name="Problems">The members that told nothing, and why.</param>
internal sealed record EventHistory(IReadOnlyList<ClusterEvent> Events, IReadOnlyList<string> Problems)
{
    /// <summary>The path of the diary.</summary>
    public const string Path = "/events";

    /// <summary>Asks the members.</summary>
    /// <exception cref="CtlException">None of them has a diary, or none answers.</exception>
    public static async Task<EventHistory> ReadAsync(
        Session session, IReadOnlyList<Member> members, CancellationToken cancellationToken)
    {
        var answers = await MemberDocument.AskAsync(session, members, Path, "events", cancellationToken);
        string[] problems = [.. answers.Select(answer => answer.Problem).OfType<string>()];
        if (problems.Length == answers.Count)
        {
            throw new CtlException(problems[0], problems.Length == 1 ? null : string.Join("; ", problems.Skip(1)));
        }
        return new EventHistory(
            [
                .. answers.Where(answer => answer.Json is not null)
                    .SelectMany(answer => Read(answer.Member, answer.Json!))
                    .OrderBy(item => item.Time).ThenBy(item => item.Member, StringComparer.Ordinal)
                    .ThenBy(item => item.Id),
            ],
            problems);
    }

    private static IEnumerable<ClusterEvent> Read(Member member, JsonObject document) =>
        (document["events"] as JsonArray ?? [])
            .Select(item => item is null ? null : ClusterEventJson.Read(JsonElement.Parse(item.ToJsonString())))
            .OfType<ClusterEvent>()
            .Select(item => item.Member.Length > 0 ? item : item with { Member = member.Name });
}
