using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Rewind;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Compares the local data with the history of a primary.</summary>
internal sealed partial class DivergenceComparison(ServerContext context, ServerObserver observer)
{
    private readonly ILogger _logger = context.Logger;

    /// <summary>
    /// Whether the local data, in use or not, fit the history of a primary; marks them with the answer.
    /// </summary>
    public async Task<DivergenceResult> CompareAsync(Member primary, CancellationToken cancellationToken)
    {
        if (primary.Address is not { } address)
        {
            return new(Divergence.CannotTell, $"{primary.Name} publishes no address");
        }
        try
        {
            var seen = await observer.ObserveAsync(cancellationToken);
            if (seen.Control is not { } control)
            {
                return new(Divergence.CannotTell, $"pg_control cannot be read: {seen.DataProblem}");
            }
            await using var session =
                await ReplicationSession.OpenAsync(
                    address, context.Users.Replication, context.Settings.Local.Name, cancellationToken);
            if (await session.IsInRecoveryAsync(cancellationToken))
            {
                return new(Divergence.CannotTell, $"{primary.Name} is not a primary yet");
            }
            var (systemId, primaryTimeline, _) = await session.IdentifyAsync(cancellationToken);
            if (systemId != control.SystemId)
            {
                return new(Divergence.CannotTell,
                    $"{primary.Name} has another database: its system identifier is {systemId}");
            }
            var wasInRecovery = seen.HasProcess
                ? !seen.IsPrimary
                : control.State is ControlState.ShutDownInRecovery or ControlState.InArchiveRecovery;
            var timeline = seen.Timeline < primaryTimeline && seen.HasProcess && !seen.IsPrimary
                ? await TimelineInFilesAsync(seen, cancellationToken)
                : seen.Timeline;
            var observation = new DivergenceObservation
            {
                LocalTimeline = timeline,
                LocalLsn = !wasInRecovery
                    ? control.Checkpoint
                    : seen.HasProcess ? seen.ReplayedLsn : control.MinimumRecoveryEnd,
                WasInRecovery = wasInRecovery,
                PrimaryTimeline = primaryTimeline,
                PrimaryHistory = DivergenceCheck.NeedsHistory(timeline, primaryTimeline)
                    ? TimelineHistoryFile.Parse(await session.HistoryAsync(primaryTimeline, cancellationToken))
                    : [],
                ShutdownCheckpointEnd = !seen.HasProcess && control.State == ControlState.ShutDown
                    ? PgControl.Read(context.DataDirectory).EndOfCheckpointRecord
                    : null,
            };
            var decision = DivergenceCheck.Decide(observation);
            LogDivergence(decision.Reason);
            Mark(decision);
            return new(decision.IsDiverged ? Divergence.Diverged : Divergence.None, decision.Reason);
        }
        catch (Exception error) when (error is NpgsqlException or IOException or FormatException
            or InvalidDataException)
        {
            return new(Divergence.CannotTell, $"{primary.Name} could not be asked: {error.Message}");
        }
    }

    /// <summary>
    /// The timeline that a running standby has replayed. It may have gone on to a later one between two looks at it,
    /// and lost its connection since: then neither its WAL receiver nor pg_control tells, and its files do.
    /// </summary>
    private async Task<uint> TimelineInFilesAsync(LocalPostgres seen, CancellationToken cancellationToken)
    {
        var end = await Task.Run(() => WalEnd.Read(context.DataDirectory, cancellationToken), cancellationToken);
        return end.Position >= seen.ReplayedLsn ? Math.Max(seen.Timeline, end.Timeline) : seen.Timeline;
    }

    /// <summary>
    /// Writes the result to the data directory: no later agent may start diverged data when the primary is gone.
    /// </summary>
    private void Mark(DivergenceDecision decision)
    {
        try
        {
            if (decision.IsDiverged)
            {
                context.Damage.SetDiverged(decision.Reason);
            }
            else
            {
                context.Damage.Fits();
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The loop remembers it as long as this agent lives; the next comparison tries again.
            LogNotMarked(error.Message);
        }
    }

    [LoggerMessage(
        EventId = 2080, Level = LogLevel.Information, Message = "Compared with the primary: this member {Reason}")]
    private partial void LogDivergence(string reason);

    [LoggerMessage(EventId = 2081, Level = LogLevel.Error,
        Message = "The data could not be marked as diverged: {Problem}. If the agent ends now, the next one does not "
            + "know whether they have diverged")]
    private partial void LogNotMarked(string problem);
}
