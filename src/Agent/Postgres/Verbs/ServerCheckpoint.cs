using Npgsql;
using Routing.Agent.Postgres.Sessions;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Makes the server write a checkpoint.</summary>
internal sealed class ServerCheckpoint(ServerContext context)
{
    /// <summary>Runs CHECKPOINT, as long as it takes.</summary>
    public async Task<StepResult> WriteAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var session = await context.Connections.OpenAsync(ServerSession.Patient, cancellationToken);
            await session.ExecuteAsync("CHECKPOINT", cancellationToken);
            return StepResult.Done("wrote a checkpoint");
        }
        catch (Exception error) when (error is NpgsqlException or IOException)
        {
            return StepResult.Failed($"wrote no checkpoint: {error.Message}");
        }
    }
}
