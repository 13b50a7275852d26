using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Postgres.Sessions;
using Routing.Ha.Slots;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>
/// Makes and advances logical slots, and asks the leader about its own. May take long: it is for work beside the loop.
/// </summary>
internal sealed partial class LogicalSlotWork(ServerContext context)
{
    private const string DuplicateObject = "42710";
    private const string UndefinedFile = "58P01";
    private const string NotInPrerequisiteState = "55000";
    private const string ObjectInUse = "55006";

    private readonly ILogger _logger = context.Logger;

    /// <summary>
    /// Carries the actions out. One that a slot, a database or the leader refuses does not stop the others.
    /// </summary>
    public async Task<LogicalSlotOutcome> PerformAsync(
        LogicalSlotJob job, CancellationToken cancellationToken)
    {
        var outcome = new LogicalSlotOutcome();
        foreach (var database in job.Actions.GroupBy(DatabaseOf))
        {
            try
            {
                // A logical slot belongs to a database, and is made and moved from there alone.
                await using var session = await context.Connections.OpenAsync(
                    ServerSession.Patient, cancellationToken, database.Key);
                foreach (var action in database)
                {
                    outcome = await PerformAsync(session, action, outcome, cancellationToken);
                }
            }
            catch (Exception error) when (error is NpgsqlException or IOException or TimeoutException)
            {
                outcome = outcome.With(
                    $"{string.Join(", ", database.Select(action => action.Name))} in database {database.Key}: "
                        + Text(error));
            }
        }
        return job.Question is { } question ? await AskAsync(question, outcome, cancellationToken) : outcome;
    }

    private static string DatabaseOf(SlotAction action) => action switch
    {
        SlotAction.CreateLogical create => create.Database,
        SlotAction.Advance { Database: { } database } => database,
        _ => throw new InvalidOperationException($"{action} is no work on a logical slot."),
    };

    private async Task<LogicalSlotOutcome> PerformAsync(
        ServerSession session, SlotAction action, LogicalSlotOutcome outcome, CancellationToken cancellationToken)
    {
        var name = SqlText.Literal(action.Name);
        try
        {
            if (action is SlotAction.CreateLogical create)
            {
                await session.ExecuteAsync(
                    $"SELECT pg_create_logical_replication_slot({name}, {SqlText.Literal(create.Plugin)})",
                    cancellationToken);
                LogSlot(LogLevel.Information, "Creation", action.Name, action.Reason);
            }
            else if (action is SlotAction.Advance advance)
            {
                await session.ExecuteAsync(
                    $"SELECT pg_replication_slot_advance({name}, '{advance.To}')", cancellationToken);
                LogSlot(LogLevel.Debug, "Advance", action.Name, action.Reason);
            }
            return outcome;
        }
        catch (PostgresException error) when (error.SqlState == DuplicateObject && action is SlotAction.CreateLogical)
        {
            return outcome;   // another client made it since the last look
        }
        catch (PostgresException error) when (error.SqlState == ObjectInUse)
        {
            return outcome;   // a consumer moves it itself
        }
        catch (PostgresException error)
        {
            outcome = outcome.With($"{action.Name}: {Text(error)}");
            return action is SlotAction.Advance && error.SqlState is UndefinedFile or NotInPrerequisiteState
                ? outcome with { Broken = outcome.Broken.Add(action.Name) }
                : outcome;
        }
    }

    private async Task<LogicalSlotOutcome> AskAsync(
        LeaderSlotQuestion question, LogicalSlotOutcome outcome, CancellationToken cancellationToken)
    {
        try
        {
            await using var leader = await LeaderSlots.OpenAsync(
                question.Address, context.Users, context.Settings.Postgres.Database, cancellationToken);
            var answer = await leader.AnswerAsync(question, cancellationToken);
            outcome = outcome with { Answer = answer ?? outcome.Answer };
            return answer switch
            {
                null => outcome,
                { HasPhysicalSlot: false } when question.PhysicalSlot is null => outcome.With(
                    "standby_cluster has no primary_slot_name: it is not known whether copied logical slots could be "
                        + "used"),
                { HasPhysicalSlot: false } => outcome.With(
                    $"{question.Ground.Leader} has no slot {question.PhysicalSlot} for this standby: it is not known "
                        + "whether its logical slots could be used after a failover"),
                { PhysicalCatalogXmin: null } when await FeedbackIsOffAsync(cancellationToken) => outcome.With(
                    "hot_standby_feedback is off here, and logical slots need it: look for it in postgresql.auto.conf"),
                _ => outcome,
            };
        }
        catch (Exception error) when (error is NpgsqlException or IOException or TimeoutException)
        {
            return outcome.With($"{question.Ground.Leader} could not be asked for its slots: {Text(error)}");
        }
    }

    private async Task<bool> FeedbackIsOffAsync(CancellationToken cancellationToken)
    {
        await using var session = await context.Connections.OpenAsync(ServerSession.Heartbeat, cancellationToken);
        return await session.TextAsync("SELECT current_setting('hot_standby_feedback')", cancellationToken) == "off";
    }

    private static string Text(Exception error) =>
        error is PostgresException postgres ? postgres.MessageText : error.Message;

    [LoggerMessage(EventId = 2092, Message = "{Action} of the logical replication slot {Slot}: {Reason}")]
    private partial void LogSlot(LogLevel level, string action, string slot, string reason);
}
