using System.Text.Json;
using System.Text.Json.Nodes;
using Routing.Cli.Rest;
using Routing.Cluster;

namespace Routing.Cli.Members;

/// <summary>What a member's REST API says of it (<c>GET /patroni</c>).</summary>
/// <param name="State">The state of its PostgreSQL, such as <c>running</c>.</param>
/// <param name="Role"><c>primary</c>, <c>replica</c> …; null when it says none.</param>
/// <param name="StartedAt">When the server was started, as a text to compare; null while it does not answer.</param>
/// <param name="ReplicationState"><c>streaming</c> or <c>in archive recovery</c>; null on a primary.</param>
/// <param name="Timeline">Its timeline; null when unknown.</param>
/// <param name="Written">Where a primary's WAL ends, in bytes.</param>
/// <param name="Received">What a standby has received, in bytes.</param>
/// <param name="Replayed">What a standby has replayed, in bytes.</param>
internal sealed record MemberStatus(
    string State, string? Role, string? StartedAt, string? ReplicationState, long? Timeline, long? Written,
    long? Received, long? Replayed)
{
    /// <summary>The whole document.</summary>
    public required JsonObject Document { get; init; }

    /// <summary>Whether a parameter waits for a restart.</summary>
    public bool PendingRestart =>
        Document["pending_restart"] is JsonValue value && value.TryGetValue<bool>(out var pending) && pending;

    /// <summary>How far its job is, in a sentence; null without one. Only our agents say it.</summary>
    public string? Progress => Job is { } job ? Text(job, "progress") : null;

    /// <summary>Its job tells numbers, too: it copies data, or replays WAL for longer than a moment.</summary>
    public bool IsMeasured => Number(Job, "bytes") is not null;

    private JsonObject? Job => (Document["routing"] as JsonObject)?["job"] as JsonObject;

    /// <summary>Asks the member.</summary>
    /// <exception cref="NoAnswerException">There was no answer, or none that can be read.</exception>
    public static Task<MemberStatus> AskAsync(MemberApi api, Member member, CancellationToken cancellationToken) =>
        AskAsync(api, member, MemberCalls.QuickTimeout, cancellationToken);

    /// <summary>Asks the member, and waits no longer than said.</summary>
    /// <exception cref="NoAnswerException">There was no answer, or none that can be read.</exception>
    public static async Task<MemberStatus> AskAsync(
        MemberApi api, Member member, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var answer = await api.SendAsync(
            member, HttpMethod.Get, path: null, jsonBody: null, timeout, cancellationToken);
        try
        {
            if (JsonNode.Parse(answer.Text) is JsonObject document)
            {
                var wal = document["xlog"] as JsonObject;
                return new MemberStatus(
                    Text(document, "state") ?? "unknown",
                    Text(document, "role"),
                    Text(document, "postmaster_start_time"),
                    Text(document, "replication_state"),
                    Number(document, "timeline"),
                    Number(wal, "location"),
                    Number(wal, "received_location"),
                    Number(wal, "replayed_location"))
                {
                    Document = document,
                };
            }
        }
        catch (JsonException)
        {
            // Reported below, as for a document of another kind.
        }
        throw new NoAnswerException($"the answer of {member.Name} (status {(int)answer.Status}) can't be read");
    }

    private static string? Text(JsonObject from, string name) =>
        from[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    private static long? Number(JsonObject? from, string name) =>
        from?[name] is JsonValue value && value.TryGetValue<long>(out var number) ? number : null;
}
