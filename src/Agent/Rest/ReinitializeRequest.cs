using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Ha;

namespace Routing.Agent.Rest;

/// <summary>A new copy in place of this member's data, by request: <c>POST /reinitialize</c>.</summary>
/// <remarks>
/// The codes and the sentences are part of the interface: command-line tools show them, and look at their end.
/// </remarks>
internal sealed partial class ReinitializeRequest(IAgentControl control, ILogger logger)
{
    /// <summary>Answers when the copy has begun, or is refused.</summary>
    public async Task RequestAsync(HttpContext context, RestSettings settings)
    {
        var (body, code, problem) = await RequestBody.ReadOptionalObjectAsync(context);
        if (body is not { } json)
        {
            await context.ErrorAsync(settings, code, problem);
            return;
        }
        if (Flag(json, "force") is not { } force || Flag(json, "from_leader") is not { } fromLeader)
        {
            await context.SayAsync(
                settings, StatusCodes.Status400BadRequest, "force and from_leader have to be true or false");
            return;
        }
        LogRequested(force, fromLeader);
        var end = await control.Orders.ReinitializeAsync(force, fromLeader, context.RequestAborted);
        var (answer, sentence) = end switch
        {
            { Refusal: null } => (StatusCodes.Status200OK, "reinitialize started"),
            { Refusal: OrderRefusal.NoLeader } => Not("Cluster has no leader, can not reinitialize"),
            { Refusal: OrderRefusal.IsLeader } => Not("I am the leader, can not reinitialize"),
            { Refusal: OrderRefusal.Busy } => Not($"{end.Detail} already in progress"),
            _ => Not($"can not reinitialize: {end.Detail}"),
        };
        await context.SayAsync(settings, answer, sentence);

        static (int, string) Not(string sentence) => (StatusCodes.Status503ServiceUnavailable, sentence);
    }

    /// <summary>A boolean, or a word or number for one; false when it is missing; null for anything else.</summary>
    private static bool? Flag(JsonElement body, string name) =>
        !body.TryGetProperty(name, out var value) ? false : value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False or JsonValueKind.Null => false,
            _ => RequestBody.Text(body, name)?.ToUpperInvariant() switch
            {
                "TRUE" or "ON" or "YES" or "1" => true,
                "FALSE" or "OFF" or "NO" or "0" => false,
                _ => null,
            },
        };

    [LoggerMessage(EventId = 4042, Level = LogLevel.Information,
        Message = "Received a request to reinitialize: force {Force}, from the leader {FromLeader}")]
    private partial void LogRequested(bool force, bool fromLeader);
}
