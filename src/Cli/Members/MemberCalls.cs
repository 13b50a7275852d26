using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Routing.Cli.Rest;
using Routing.Cluster;

namespace Routing.Cli.Members;

/// <summary>What came of a request to a member: an answer, no answer, or only the announcement of a dry run.</summary>
/// <param name="Status">The HTTP status; null without an answer.</param>
/// <param name="Text">The answer's text, or why there is none.</param>
internal sealed record Reply(HttpStatusCode? Status, string Text)
{
    /// <summary>Done (200) or taken on (202).</summary>
    public bool IsSuccess => Status is HttpStatusCode.OK or HttpStatusCode.Accepted;

    /// <summary>The status and the text as they stand behind "Failed: …".</summary>
    public string Details => Status is { } status
        ? string.Create(CultureInfo.InvariantCulture, $"status code={(int)status}, ({Text})")
        : $"({Text})";
}

/// <summary>Asks members to do something. In a dry run it says what would be asked, and asks nothing.</summary>
internal sealed class MemberCalls(Session session, bool isDryRun)
{
    private bool _hasHinted;

    /// <summary>How long an answer may take that a member gives at once.</summary>
    public static readonly TimeSpan QuickTimeout = TimeSpan.FromSeconds(15);

    /// <summary>Sends one request that changes something.</summary>
    /// <returns>The reply, or null in a dry run.</returns>
    public async Task<Reply?> SendAsync(
        Member member, HttpMethod method, string path, JsonObject? body, TimeSpan timeout,
        CancellationToken cancellationToken)
    {
        var json = body?.ToJsonString();
        if (isDryRun)
        {
            session.Screen.WriteLine(
                $"Dry run: {member.Name} would get {method} {path}{(json is null ? "" : $" {json}")}");
            return null;
        }
        try
        {
            var answer = await session.Api.SendAsync(member, method, path, json, timeout, cancellationToken);
            if (answer.Status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden && !_hasHinted)
            {
                _hasHinted = true;
                session.Screen.WriteHint(
                    "See ctl.authentication and restapi.authentication of the configuration, and the members' "
                        + "restapi.allowlist.");
            }
            return new Reply(answer.Status, answer.Text);
        }
        catch (NoAnswerException e)
        {
            return new Reply(null, e.Message);
        }
    }

    /// <summary>Prints how an action ended on one member.</summary>
    /// <returns>Whether it succeeded; true in a dry run.</returns>
    public bool Report(Member member, string action, Reply? reply)
    {
        if (reply is not null)
        {
            session.Screen.WriteLine(reply.IsSuccess
                ? $"Success: {action} for member {member.Name}"
                : $"Failed: {action} for member {member.Name}, {reply.Details}");
        }
        return reply is null or { IsSuccess: true };
    }
}
