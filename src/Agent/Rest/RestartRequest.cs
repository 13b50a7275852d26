using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Cluster;
using Routing.Cluster.Text;
using Routing.Ha;

namespace Routing.Agent.Rest;

/// <summary>
/// Restarts of this member's PostgreSQL by request: <c>POST /restart</c>, now or at a time, and <c>DELETE /restart</c>.
/// </summary>
/// <remarks>The codes and the sentences are part of the interface: command-line tools show them.</remarks>
internal sealed partial class RestartRequest(IAgentControl control, TimeProvider time, ILogger logger)
{
    /// <summary>Restarts, and answers when that has ended; or plans it, and answers at once.</summary>
    public async Task RequestAsync(HttpContext context, RestSettings settings)
    {
        var (body, code, problem) = await RequestBody.ReadOptionalObjectAsync(context);
        if (body is not { } json)
        {
            await context.ErrorAsync(settings, code, problem);
            return;
        }
        var answer = await IsPausedAsync(json, context.RequestAborted)
            ? new Answer(StatusCodes.Status500InternalServerError, "Can't schedule restart in the paused state")
            : Read(json, out var wish)
                ?? (wish.At is { } at ? Plan(wish, at) : await RestartAsync(wish, context.RequestAborted));
        await context.SayAsync(settings, answer.Code, answer.Sentence);
    }

    /// <summary>Takes a planned restart back.</summary>
    public Task CancelAsync(HttpContext context, RestSettings settings) => control.Orders.TryUnschedule()
        ? context.SayAsync(settings, StatusCodes.Status200OK, "scheduled restart deleted")
        : context.SayAsync(settings, StatusCodes.Status404NotFound, "no restarts are scheduled");

    private async Task<bool> IsPausedAsync(JsonElement body, CancellationToken cancellationToken) =>
        body.TryGetProperty("schedule", out _)
        && ((await control.Store.ReadAsync(cancellationToken)).Config ?? control.Status.Config).Pause;

    /// <summary>Reads the body, in its order: the first field that cannot be used is the answer.</summary>
    private Answer? Read(JsonElement body, out Wish wish)
    {
        wish = new Wish(null, RestartFilter.None, null);
        foreach (var field in body.EnumerateObject())
        {
            var text = RequestBody.Text(body, field.Name);
            switch (field.Name)
            {
                case "schedule":
                    if (Schedule.Read(text ?? "", "restart", time.GetUtcNow(), out var at) is { } refusal)
                    {
                        return new Answer(refusal.Code, refusal.Sentence);
                    }
                    wish = wish with { At = at };
                    break;
                case "role":
                    if (text is not ("primary" or "standby_leader" or "replica"))
                    {
                        return Bad("role has to be primary, standby_leader or replica");
                    }
                    wish = wish with { Filter = wish.Filter with { Role = text } };
                    break;
                case "postgres_version":
                    if (!PostgresVersionText.TryParse(text, out _))
                    {
                        return Bad($"postgres_version has to be X.Y or X.Y.Z, not '{text}'");
                    }
                    wish = wish with { Filter = wish.Filter with { PostgresVersion = text } };
                    break;
                case "timeout":
                    if (!PostgresUnits.TryParseSeconds(text, out var seconds) || seconds is <= 0 or > int.MaxValue)
                    {
                        return Bad("timeout has to be a number of seconds above 0");
                    }
                    wish = wish with { Timeout = TimeSpan.FromSeconds(seconds) };
                    break;
                case "restart_pending":
                    wish = wish with { Filter = wish.Filter with { RestartPending = true } };
                    break;
                default:
                    return Bad($"Unknown filter for the scheduled restart: {field.Name}");
            }
        }
        return null;

        static Answer Bad(string sentence) => new(StatusCodes.Status400BadRequest, sentence);
    }

    private Answer Plan(Wish wish, DateTimeOffset at)
    {
        var postgres = control.Status.Postgres;
        var planned = new ScheduledRestart(
            at, control.Status.IsAnswering && postgres.PostmasterStart is { } start ? PostgresTime.Format(start) : null,
            wish.Filter.Role, wish.Filter.PostgresVersion, wish.Filter.RestartPending, wish.Timeout?.TotalSeconds);
        if (!control.Orders.TrySchedule(planned))
        {
            return new Answer(StatusCodes.Status409Conflict, "Another restart is already scheduled");
        }
        LogPlanned(at);
        return new Answer(StatusCodes.Status202Accepted, "Restart scheduled");
    }

    private async Task<Answer> RestartAsync(Wish wish, CancellationToken cancellationToken)
    {
        LogRequested(wish.Filter, wish.Timeout?.TotalSeconds);
        var end = await control.Orders.RestartAsync(wish.Filter, wish.Timeout, cancellationToken);
        return end switch
        {
            { Result: JobResult.Done } => new(StatusCodes.Status200OK, "restarted successfully"),
            { Refusal: OrderRefusal.ConditionsNotMet } => Not("restart conditions are not satisfied"),
            { Refusal: OrderRefusal.Busy } => Not($"{end.Detail} already in progress"),
            { Refusal: OrderRefusal.StillStarting } or { Result: JobResult.StillStarting } =>
                Not("postgres is still starting"),
            _ => Not($"restart failed: {end.Detail}"),
        };

        static Answer Not(string sentence) => new(StatusCodes.Status503ServiceUnavailable, sentence);
    }

    [LoggerMessage(EventId = 4040, Level = LogLevel.Information,
        Message = "Received a request to restart: {Filter}, timeout {Seconds} s")]
    private partial void LogRequested(RestartFilter filter, double? seconds);

    [LoggerMessage(EventId = 4041, Level = LogLevel.Information, Message = "A restart is planned for {At}")]
    private partial void LogPlanned(DateTimeOffset at);

    /// <summary>What the caller wants.</summary>
    private readonly record struct Wish(DateTimeOffset? At, RestartFilter Filter, TimeSpan? Timeout);

    /// <summary>What the caller is told.</summary>
    private readonly record struct Answer(int Code, string Sentence);
}
