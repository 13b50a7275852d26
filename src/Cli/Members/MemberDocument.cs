using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Routing.Cli.Rest;
using Routing.Cluster;

namespace Routing.Cli.Members;

/// <summary>A document that only our own agents have, asked of one member.</summary>
/// <param name="Member">The member.</param>
/// <param name="Json">The document; null: there is none.</param>
/// <param name="Problem">Why there is none, in one sentence; null when there is one.</param>
internal sealed record MemberDocument(Member Member, JsonObject? Json, string? Problem)
{
    /// <summary>Asks members, all at the same time: one that is down costs its time-out only once.</summary>
    /// <param name="session">The command's session.</param>
    /// <param name="members">The members.</param>
    /// <param name="path">The path of the document.</param>
    /// <param name="field">A field that the document has, and that no other answer to this path has.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<IReadOnlyList<MemberDocument>> AskAsync(
        Session session, IEnumerable<Member> members, string path, string field, CancellationToken cancellationToken) =>
        await Task.WhenAll(members.Select(member => AskAsync(session, member, path, field, cancellationToken)));

    /// <summary>Why a member has no such document: Patroni answers every path that it does not know.</summary>
    public static string Missing(Member member, string path, HttpStatusCode status) => string.Create(
        CultureInfo.InvariantCulture,
        $"{member.Name} has no GET {path} (status {(int)status}): its agent is {Agent(member)}");

    private static string Agent(Member member) => member.Routing is { } routing
        ? $"routing-agent {routing.Version}, which is older than this routingctl"
        : $"Patroni {member.Version}, which has none";

    private static async Task<MemberDocument> AskAsync(
        Session session, Member member, string path, string field, CancellationToken cancellationToken)
    {
        try
        {
            var answer = await session.Api.SendAsync(
                member, HttpMethod.Get, path, jsonBody: null, MemberCalls.QuickTimeout, cancellationToken);
            return answer.Status == HttpStatusCode.OK && Parse(answer.Text) is { } json && json.ContainsKey(field)
                ? new MemberDocument(member, json, null)
                : new MemberDocument(member, null, Missing(member, path, answer.Status));
        }
        catch (NoAnswerException e)
        {
            return new MemberDocument(member, null, $"{member.Name} gives no answer: {e.Message}");
        }
    }

    private static JsonObject? Parse(string text)
    {
        try
        {
            return JsonNode.Parse(text) as JsonObject;
        }
        catch (JsonException)
        {
            return null;   // a page of a proxy in between, say
        }
    }
}
