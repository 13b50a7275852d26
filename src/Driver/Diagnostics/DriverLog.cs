using Microsoft.Extensions.Logging;
using Routing.Cluster;

namespace Routing.Driver.Diagnostics;

/// <summary>Every message of the driver; numbers 7001 and up.</summary>
internal static partial class DriverLog
{
    [LoggerMessage(EventId = 7001, Level = LogLevel.Information,
        Message = "{Cluster}: writes go to {Member} at {Address} (term {Term})")]
    public static partial void LeaderIs(
        this ILogger logger, string cluster, string member, HostPort address, Term term);

    [LoggerMessage(EventId = 7002, Level = LogLevel.Warning, Message = "{Cluster}: writes wait: {Reason}")]
    public static partial void NoLeader(this ILogger logger, string cluster, string reason);

    [LoggerMessage(EventId = 7003, Level = LogLevel.Warning,
        Message = "{Cluster}: the source of the topology is silent; what it said last stays in use")]
    public static partial void TopologyStale(this ILogger logger, string cluster);

    [LoggerMessage(
        EventId = 7004, Level = LogLevel.Information, Message = "{Cluster}: the source of the topology answers again")]
    public static partial void TopologyLive(this ILogger logger, string cluster);

    [LoggerMessage(EventId = 7005, Level = LogLevel.Information,
        Message = "{Cluster}: closed the idle {Purpose} connections to {Member}: {Reason}")]
    public static partial void PoolCleared(
        this ILogger logger, string cluster, string purpose, string member, string reason);

    [LoggerMessage(EventId = 7006, Level = LogLevel.Warning,
        Message = "{Cluster}: no connection to {Member} at {Address}: {Problem}")]
    public static partial void AttemptFailed(
        this ILogger logger, string cluster, string member, HostPort address, string problem);

    [LoggerMessage(EventId = 7007, Level = LogLevel.Debug, Message = "{Cluster}: an open for {Target} waits: {Reason}")]
    public static partial void Waits(this ILogger logger, string cluster, string target, string reason);

    [LoggerMessage(EventId = 7008, Level = LogLevel.Warning,
        Message = "{Cluster}: {Member} refused a write as read-only: its connections are closed")]
    public static partial void ReadOnly(this ILogger logger, string cluster, string member);

    [LoggerMessage(
        EventId = 7009, Level = LogLevel.Debug, Message = "{Cluster}: warming {Member} ended early: {Problem}")]
    public static partial void WarmingEnded(this ILogger logger, string cluster, string member, string problem);

    [LoggerMessage(EventId = 7016, Level = LogLevel.Debug,
        Message = "{Cluster}: {Member} is about to lead, and has {Count} connections for writes")]
    public static partial void Warmed(this ILogger logger, string cluster, string member, int count);

    [LoggerMessage(EventId = 7010, Level = LogLevel.Information,
        Message = "{Cluster}: a unit of work is repeated (attempt {Attempt}): {Problem}")]
    public static partial void UnitRepeated(this ILogger logger, string cluster, int attempt, string problem);

    [LoggerMessage(EventId = 7011, Level = LogLevel.Warning,
        Message = "{Cluster}: the answer to a COMMIT at {Member} was lost: {Problem}")]
    public static partial void CommitAmbiguous(this ILogger logger, string cluster, string member, string problem);

    [LoggerMessage(EventId = 7012, Level = LogLevel.Error, Message = "{Cluster}: a handler of TopologyChanged failed")]
    public static partial void HandlerFailed(this ILogger logger, string cluster, Exception problem);

    [LoggerMessage(EventId = 7013, Level = LogLevel.Error,
        Message = "{Cluster}: a background task failed: a fault of this library")]
    public static partial void BackgroundFailed(this ILogger logger, string cluster, Exception problem);

    [LoggerMessage(
        EventId = 7014, Level = LogLevel.Debug, Message = "{Cluster}: loaded the database's types anew from {Member}")]
    public static partial void TypesLoaded(this ILogger logger, string cluster, string member);

    [LoggerMessage(EventId = 7015, Level = LogLevel.Debug,
        Message = "{Cluster}: the types of {Member} are loaded later, before its next connection is handed out: "
            + "{Problem}")]
    public static partial void TypesWait(this ILogger logger, string cluster, string member, string problem);
}
