using Npgsql;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Sets <c>synchronous_standby_names</c>.</summary>
internal sealed class SynchronousNames(ServerContext context, ServerFiles files)
{
    private const string Name = ServerFiles.SynchronousNames;

    /// <summary>Sets the value and waits until it is in force; null gives it back to the operator.</summary>
    public async Task<StepResult> SetAsync(string? names, CancellationToken cancellationToken)
    {
        await files.SetSynchronousNamesAsync(names, cancellationToken);
        if (context.Postmaster.Find() is not { } process)
        {
            return StepResult.Done("will be set at the next start");
        }
        try
        {
            var isPrimary = !context.Files.HasRecoverySignal;
            var effective = await context.Settings.ForAsync(isPrimary ? Role.Primary : Role.Replica, cancellationToken);
            await files.RewriteAsync(effective, cancellationToken);
            await using var session = await context.Connections.OpenAsync(ServerSession.Heartbeat, cancellationToken);
            process.TrySignal(Signals.Hangup);
            if (names is null && effective.Dynamic.SynchronousMode == SynchronousMode.Off)
            {
                return StepResult.Done($"{Name} is left to the operator again");
            }
            var wanted = names ?? "";
            return await ServerWait.ForReloadAsync(
                async () => await session.TextAsync($"SELECT current_setting('{Name}')", cancellationToken)
                    == wanted,
                context.Time, cancellationToken)
                ? StepResult.Done($"{Name} is '{wanted}'")
                : StepResult.Failed(
                    $"{Name} did not become '{wanted}': something outside postgresql.conf sets it, "
                    + "or PostgreSQL refuses to reload its files");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or NpgsqlException)
        {
            return StepResult.Failed($"{Name} could not be set: {error.Message}");
        }
    }
}
