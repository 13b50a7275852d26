using System.Globalization;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Native;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Rewind;

namespace Routing.Agent.Postgres;

/// <content>Divergence and rewinding.</content>
internal sealed partial class LocalPostgresServer
{
    private static readonly TimeSpan SourceCheckpointLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan SourcePoll = TimeSpan.FromMilliseconds(100);

    /// <inheritdoc/>
    public async Task<DivergenceResult> CheckDivergenceAsync(Member primary, CancellationToken cancellationToken)
    {
        if (primary.Address is not { } address)
        {
            return new(Divergence.CannotTell, $"{primary.Name} publishes no address");
        }
        try
        {
            var seen = await ObserveAsync(cancellationToken);
            if (seen.Control is not { } control)
            {
                return new(Divergence.CannotTell, $"pg_control cannot be read: {seen.DataProblem}");
            }
            await using var session = await OpenRemoteAsync(address, cancellationToken);
            if (await session.TextAsync("SELECT pg_is_in_recovery()", cancellationToken) != "False")
            {
                return new(Divergence.CannotTell, $"{primary.Name} is not a primary yet");
            }
            var primaryTimeline = await TimelineOfAsync(session, cancellationToken);
            var wasInRecovery = seen.HasProcess
                ? !seen.IsPrimary
                : control.State is ControlState.ShutDownInRecovery or ControlState.InArchiveRecovery;
            var observation = new DivergenceObservation
            {
                LocalTimeline = seen.Timeline,
                LocalLsn = !wasInRecovery ? control.Checkpoint : seen.HasProcess ? seen.ReplayedLsn : control.MinimumRecoveryEnd,
                WasInRecovery = wasInRecovery,
                PrimaryTimeline = primaryTimeline,
                PrimaryHistory = DivergenceCheck.NeedsHistory(seen.Timeline, primaryTimeline)
                    ? TimelineHistoryFile.Parse(await HistoryOfAsync(session, primaryTimeline, cancellationToken))
                    : [],
                ShutdownCheckpointEnd = !seen.HasProcess && control.State == ControlState.ShutDown
                    ? PgControl.Read(DataDirectory).EndOfCheckpointRecord
                    : null,
            };
            var decision = DivergenceCheck.Decide(observation);
            LogDivergence(decision.Reason);
            return new(decision.IsDiverged ? Divergence.Diverged : Divergence.None, decision.Reason);
        }
        catch (Exception error) when (error is NpgsqlException or IOException or FormatException or InvalidDataException)
        {
            return new(Divergence.CannotTell, $"{primary.Name} could not be asked: {error.Message}");
        }
    }

    /// <inheritdoc/>
    public async Task<StepResult> RewindAsync(Member primary, IProgress<string> progress, CancellationToken cancellationToken)
    {
        if (primary.Address is not { } address)
        {
            return StepResult.Failed($"{primary.Name} publishes no address");
        }
        try
        {
            var stopped = await StopAsync(new StopPlan(StopMode.Fast, EscalateAfter: TimeSpan.FromSeconds(60)), cancellationToken);
            if (!stopped.Ok)
            {
                return stopped;
            }
            var effective = await EffectiveAsync(Role.Replica, cancellationToken);
            if (await RecoverInSingleUserModeAsync(effective, progress, cancellationToken) is { Ok: false } unclean)
            {
                return unclean;
            }
            if (await WaitForSourceCheckpointAsync(primary.Name, address, cancellationToken) is { Ok: false } notYet)
            {
                return notYet;
            }
            PasswordFile.Write(_settings.Postgres.PasswordFile, address, Users);
            progress.Report($"rewinding to {primary.Name}");
            return await RunAsync(
                "pg_rewind", new Command(_programs.Rewind, RewindArguments(address, effective)), progress, cancellationToken);
        }
        catch (Exception error) when (error is NpgsqlException or IOException or UnauthorizedAccessException or InvalidDataException)
        {
            return StepResult.Failed($"could not rewind: {error.Message}");
        }
    }

    private List<string> RewindArguments(HostPort source, Effective effective)
    {
        var postgres = _settings.Postgres;
        var connection = RecoverySettings.ConnectionStringFor(
            Users.RewindOrSuperuser, source, postgres.Database, postgres.PasswordFile, effective.Major);
        List<string> arguments = [$"--target-pgdata={DataDirectory}", $"--source-server={connection}"];
        var configurationOutside = postgres.ConfigDirectory != DataDirectory;
        var restores = effective.Config.RecoveryParameters.ContainsKey("restore_command");
        if (configurationOutside && effective.Major >= 15)
        {
            arguments.Add($"--config-file={_files.Main}");
        }
        if (restores && (effective.Major >= 15 || !configurationOutside))
        {
            arguments.Add("--restore-target-wal");
        }
        arguments.AddRange(effective.Config.Rewind.Select(option => option.ToString()));
        return arguments;
    }

    /// <summary>
    /// pg_rewind wants data that were shut down. A crashed server is recovered by a server without sessions: no standby
    /// settings, no archiving.
    /// </summary>
    private async Task<StepResult> RecoverInSingleUserModeAsync(
        Effective effective, IProgress<string> progress, CancellationToken cancellationToken)
    {
        if (PgControl.Read(DataDirectory).File.State is ControlState.ShutDown or ControlState.ShutDownInRecovery)
        {
            return StepResult.Done("was shut down");
        }
        progress.Report("recovering from the crash in single-user mode");
        await _postmaster.WaitForOrphansAsync(OrphanLimit, cancellationToken);
        WriteFiles(effective, asPrimary: true, null, RaisedForStandby(effective.Config));
        _files.RemoveSignals();
        var arguments = Arguments(effective.Config, RaisedForStandby(effective.Config));
        arguments.InsertRange(0, ["--single"]);
        arguments.AddRange(["--archive_mode=on", "--archive_command=false", "template1"]);
        return await RunAsync("postgres --single", new Command(_programs.Postgres, arguments), progress, cancellationToken);
    }

    /// <summary>
    /// pg_rewind reads the source's pg_control: until the checkpoint after its promotion that names the old timeline, and a
    /// rewind would do nothing.
    /// </summary>
    private async Task<StepResult> WaitForSourceCheckpointAsync(string name, HostPort address, CancellationToken cancellationToken)
    {
        await using var session = await OpenRemoteAsync(address, cancellationToken);
        var timeline = await TimelineOfAsync(session, cancellationToken);
        var start = _time.GetTimestamp();
        while (true)
        {
            var checkpoint = await session.TextAsync("SELECT timeline_id FROM pg_control_checkpoint()", cancellationToken);
            if (checkpoint == timeline.ToString(CultureInfo.InvariantCulture))
            {
                return StepResult.Done($"{name} has written a checkpoint on timeline {timeline}");
            }
            if (_time.GetElapsedTime(start) > SourceCheckpointLimit)
            {
                return StepResult.Failed($"{name} has not written a checkpoint since its promotion");
            }
            await Task.Delay(SourcePoll, _time, cancellationToken);
        }
    }

    private Task<ServerSession> OpenRemoteAsync(HostPort address, CancellationToken cancellationToken) => ServerSession.OpenAsync(
        address, Users.RewindOrSuperuser, _settings.Postgres.Database, "Patroni", ServerSession.Heartbeat, cancellationToken);

    private static async Task<uint> TimelineOfAsync(ServerSession session, CancellationToken cancellationToken) => uint.Parse(
        (await session.TextAsync("SELECT pg_walfile_name(pg_current_wal_lsn())", cancellationToken) ?? "00000000")[..8],
        NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private static async Task<string> HistoryOfAsync(ServerSession session, uint timeline, CancellationToken cancellationToken) =>
        await session.TextAsync(
            string.Create(
                CultureInfo.InvariantCulture, $"SELECT convert_from(pg_read_binary_file('pg_wal/{timeline:X8}.history'), 'UTF8')"),
            cancellationToken) ?? "";

    [LoggerMessage(EventId = 2080, Level = LogLevel.Information, Message = "Compared with the primary: this member {Reason}")]
    private partial void LogDivergence(string reason);
}
