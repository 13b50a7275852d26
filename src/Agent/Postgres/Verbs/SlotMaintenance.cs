using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Postgres.Sessions;
using Routing.Ha.Slots;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Creates and advances physical replication slots, and drops slots of both kinds.</summary>
internal sealed partial class SlotMaintenance(ServerContext context)
{
    private const string DuplicateObject = "42710";
    private const string UndefinedObject = "42704";

    private readonly ILogger _logger = context.Logger;

    /// <summary>Carries the quick actions out. One that a slot refuses does not stop the others.</summary>
    public async Task<StepResult> PerformAsync(
        ImmutableArray<SlotAction> actions, CancellationToken cancellationToken)
    {
        var problems = new List<string>();
        try
        {
            // On the connection that is there: slots are moved as often as WAL arrives.
            if (!await context.Heartbeat.LendAsync(
                (session, token) => PerformAsync(session, actions, problems, token), cancellationToken))
            {
                await using var session =
                    await context.Connections.OpenAsync(ServerSession.Heartbeat, cancellationToken);
                await PerformAsync(session, actions, problems, cancellationToken);
            }
        }
        catch (Exception error) when (error is NpgsqlException or IOException or TimeoutException)
        {
            problems.Add(error.Message);
        }
        return problems.Count == 0
            ? StepResult.Done($"carried out {actions.Length} changes of replication slots")
            : StepResult.Failed(string.Join("; ", problems));
    }

    private async Task PerformAsync(
        ServerSession session, IEnumerable<SlotAction> actions, List<string> problems,
        CancellationToken cancellationToken)
    {
        foreach (var action in actions)
        {
            await PerformAsync(session, action, problems, cancellationToken);
        }
    }

    private async Task PerformAsync(
        ServerSession session, SlotAction action, List<string> problems, CancellationToken cancellationToken)
    {
        var name = SqlText.Literal(action.Name);
        try
        {
            switch (action)
            {
                case SlotAction.CreatePhysical:
                    await session.ExecuteAsync(
                        $"SELECT pg_create_physical_replication_slot({name}, true)", cancellationToken);
                    break;
                case SlotAction.Advance { Database: null } advance:
                    await session.ExecuteAsync(
                        $"SELECT pg_replication_slot_advance({name}, '{advance.To}')", cancellationToken);
                    break;
                case SlotAction.Drop:
                    await session.ExecuteAsync($"SELECT pg_drop_replication_slot({name})", cancellationToken);
                    break;
                default:
                    throw new InvalidOperationException($"{action} takes too long for the loop.");
            }
            LogSlot(action is SlotAction.Advance ? LogLevel.Debug : LogLevel.Information, action.GetType().Name,
                action.Name, action.Reason);
        }
        catch (PostgresException error) when (
            error.SqlState == DuplicateObject && action is SlotAction.CreatePhysical)
        {
            // Another client made it since the last look.
        }
        catch (PostgresException error) when (error.SqlState == UndefinedObject && action is SlotAction.Drop)
        {
            // Another client dropped it since the last look.
        }
        catch (PostgresException error)
        {
            problems.Add($"{action.Name}: {error.MessageText}");
        }
    }

    [LoggerMessage(EventId = 2090, Message = "{Action} of replication slot {Slot}: {Reason}")]
    private partial void LogSlot(LogLevel level, string action, string slot, string reason);
}
