using Microsoft.Extensions.Logging;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>What performing a decision writes to the log.</summary>
internal static partial class PerformerLog
{
    [LoggerMessage(EventId = 1401, Level = LogLevel.Warning, Message = "{Action} was not done: {Status} {Problem}")]
    public static partial void NotDone(this ILogger logger, string action, string status, string problem);

    [LoggerMessage(EventId = 1402, Level = LogLevel.Information, Message = "Got response from {Name}: {Answer}")]
    public static partial void PeerAnswered(this ILogger logger, string name, string answer);

    [LoggerMessage(
        EventId = 1403, Level = LogLevel.Information, Message = "Lost the race for the leader key to {Winner}")]
    public static partial void RaceLost(this ILogger logger, string winner);

    [LoggerMessage(
        EventId = 1404, Level = LogLevel.Warning, Message = "{Name} does not consent to failsafe mode: {Detail}")]
    public static partial void NoConsent(this ILogger logger, string name, string detail);

    [LoggerMessage(EventId = 1405, Level = LogLevel.Warning,
        Message = "This member refuses a request ({Refusal}): {Detail}")]
    public static partial void OrderRefused(this ILogger logger, OrderRefusal refusal, string detail);
}
