using System.Globalization;
using Npgsql;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Sessions;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Resumes replay on a standby that has paused it because its primary has higher limits.</summary>
internal sealed class ReplayResumption(ServerContext context)
{
    /// <summary>Resumes replay where a limit has paused it; a replay that was paused by hand stays paused.</summary>
    public async Task<StepResult> ResumeAsync(CancellationToken cancellationToken)
    {
        const string query =
            """
            SELECT string_agg(name || '=' || setting, ',') FROM pg_settings
             WHERE name IN ('max_connections', 'max_prepared_transactions', 'max_locks_per_transaction',
                 'max_worker_processes', 'max_wal_senders')
            """;
        try
        {
            var control = PgControl.Read(context.DataDirectory);
            await using var session = await context.Connections.OpenAsync(ServerSession.Heartbeat, cancellationToken);
            var settings =
                (await session.TextAsync(query, cancellationToken) ?? "").Split(',').Select(pair => pair.Split('='))
                .ToDictionary(pair => pair[0], pair => int.Parse(pair[1], CultureInfo.InvariantCulture),
                    StringComparer.Ordinal);
            var tooLow = StandbyLimits.Least(control)
                .Where(least => settings.GetValueOrDefault(least.Name) < least.Value).ToList();
            if (tooLow.Count == 0)
            {
                return StepResult.Done("replay was paused by hand");
            }
            await ResumeAndEndAsync(session, cancellationToken);
            return StepResult.Done(
                $"resumed replay, which had stopped for {string.Join(", ", tooLow.Select(least => least.Name))}: "
                    + "PostgreSQL restarts");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or NpgsqlException
            or InvalidDataException)
        {
            return StepResult.Failed($"replay could not be resumed: {error.Message}");
        }
    }

    /// <summary>The server ended, or shuts down (class 57P): not a refusal, and not silence.</summary>
    internal static bool IsEndOfServer(NpgsqlException problem) => problem is PostgresException refusal
        ? refusal.SqlState.StartsWith("57P", StringComparison.Ordinal)
        : problem.InnerException is IOException;   // of silence it is a TimeoutException

    /// <summary>
    /// Resumes a replay that lacks room. The server ends by that, and its next start takes the values that its primary
    /// has; it may end before it has answered, which is as good as an answer.
    /// </summary>
    private static async Task ResumeAndEndAsync(ServerSession session, CancellationToken cancellationToken)
    {
        try
        {
            await session.ExecuteAsync("SELECT pg_wal_replay_resume()", cancellationToken);
        }
        catch (NpgsqlException problem) when (IsEndOfServer(problem))
        {
            // It ends to start with the higher limits, which is what was wanted.
        }
    }
}
