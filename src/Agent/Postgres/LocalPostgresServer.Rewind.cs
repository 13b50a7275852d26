using System.Globalization;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Verbs;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Rewind;

namespace Routing.Agent.Postgres;

/// <content>Divergence and rewinding.</content>
internal sealed partial class LocalPostgresServer
{
    private static readonly TimeSpan s_sourceCheckpointLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_sourcePoll = TimeSpan.FromMilliseconds(100);

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
            await using var session =
                await ReplicationSession.OpenAsync(address, Users.Replication, Settings.Name, cancellationToken);
            if (await session.IsInRecoveryAsync(cancellationToken))
            {
                return new(Divergence.CannotTell, $"{primary.Name} is not a primary yet");
            }
            var (systemId, primaryTimeline) = await session.IdentifyAsync(cancellationToken);
            if (systemId != control.SystemId)
            {
                return new(Divergence.CannotTell,
                    $"{primary.Name} has another database: its system identifier is {systemId}");
            }
            var wasInRecovery = seen.HasProcess
                ? !seen.IsPrimary
                : control.State is ControlState.ShutDownInRecovery or ControlState.InArchiveRecovery;
            var observation = new DivergenceObservation
            {
                LocalTimeline = seen.Timeline,
                LocalLsn = !wasInRecovery
                    ? control.Checkpoint
                    : seen.HasProcess ? seen.ReplayedLsn : control.MinimumRecoveryEnd,
                WasInRecovery = wasInRecovery,
                PrimaryTimeline = primaryTimeline,
                PrimaryHistory = DivergenceCheck.NeedsHistory(seen.Timeline, primaryTimeline)
                    ? TimelineHistoryFile.Parse(await session.HistoryAsync(primaryTimeline, cancellationToken))
                    : [],
                ShutdownCheckpointEnd = !seen.HasProcess && control.State == ControlState.ShutDown
                    ? PgControl.Read(DataDirectory).EndOfCheckpointRecord
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

    /// <inheritdoc/>
    public async Task<StepResult> RewindAsync(
        Member primary, IProgress<string> progress, CancellationToken cancellationToken)
    {
        if (primary.Address is not { } address)
        {
            return StepResult.Failed($"{primary.Name} publishes no address");
        }
        try
        {
            var stopped = await StopAsync(
                new StopPlan(StopMode.Fast, EscalateAfter: TimeSpan.FromSeconds(60)), cancellationToken);
            if (!stopped.Ok)
            {
                return stopped;
            }
            var effective = await EffectiveAsync(Role.Replica, cancellationToken);
            await EndLeftoversAsync(cancellationToken);
            await _launch.ClearGroundAsync(cancellationToken);
            if (HasRewoundAlready())
            {
                Damage.Clear();
                return StepResult.Done("an earlier rewind had copied everything when it was interrupted");
            }
            if (await RecoverInSingleUserModeAsync(effective, progress, cancellationToken) is { Ok: false } unclean)
            {
                return unclean;
            }
            if (await WaitForSourceCheckpointAsync(primary.Name, address, cancellationToken) is { Ok: false } notYet)
            {
                return notYet;
            }
            await _archiving.RunAsync(effective, progress, cancellationToken);
            PasswordFile.Write(Settings.Postgres.PasswordFile, address, Users);
            progress.Report($"rewinding to {primary.Name}");
            return await RunRewindAsync(RewindCommand(address, effective), progress, cancellationToken);
        }
        catch (Exception error) when (error is NpgsqlException or IOException or UnauthorizedAccessException
            or InvalidDataException)
        {
            return StepResult.Failed(
                $"could not rewind: {error.Message}") with { IsObstacle = RewindObstacle.Passes(error.Message) };
        }
    }

    /// <summary>
    /// pg_rewind writes backup_label and then pg_control when all is copied; what it does after that, writing through
    /// to the disk, PostgreSQL does itself when it starts with such a pg_control.
    /// </summary>
    private bool HasRewoundAlready() =>
        Damage.Read() == DataDamage.HalfRewound
        && File.Exists(Path.Combine(DataDirectory, "backup_label"))
        && PgControl.Read(DataDirectory).File.State == ControlState.InArchiveRecovery;

    /// <summary>Runs pg_rewind under a mark. It touches nothing before it has told how much it will copy.</summary>
    private async Task<StepResult> RunRewindAsync(
        Command command, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var wasHalfRewound = Damage.Read() == DataDamage.HalfRewound;
        var hasBegun = false;
        Damage.BeginRewind();
        try
        {
            var result = await Runner.RunAsync(
                "pg_rewind", command, progress, cancellationToken,
                line => hasBegun |= line.Contains("need to copy", StringComparison.Ordinal));
            if (result.Ok)
            {
                Damage.Clear();
                return result;
            }
            return result with { IsObstacle = RewindObstacle.Passes(result.Detail) };
        }
        finally
        {
            if (!hasBegun && !wasHalfRewound)
            {
                Damage.RewindNotBegun();
            }
        }
    }

    private static readonly Dictionary<string, string?> s_englishMessages = new() { ["LC_ALL"] = "C" };

    private Command RewindCommand(HostPort source, EffectiveSettings effective)
    {
        var postgres = Settings.Postgres;
        var connection = ProgramConnection.ForProgram(
            Settings, Users.RewindOrSuperuser, source, effective.Config, effective.Major);
        List<string> arguments = [$"--target-pgdata={DataDirectory}", $"--source-server={connection.Text}",
            "--progress"];
        var configurationOutside = postgres.ConfigDirectory != DataDirectory;
        var restores = effective.Config.RecoveryParameters.ContainsKey("restore_command");
        if (configurationOutside && effective.Major >= 15)
        {
            arguments.Add($"--config-file={Files.Main}");
        }
        if (restores && (effective.Major >= 15 || !configurationOutside))
        {
            arguments.Add("--restore-target-wal");
        }
        arguments.AddRange(effective.Config.Rewind.Where(option => option.Name is not ("progress" or "P"))
            .Select(option => option.ToString()));
        return new Command(Programs.Rewind, arguments) { Environment = connection.Environment.SetItem("LC_ALL", "C") };
    }

    /// <summary>
    /// pg_rewind wants data that were shut down. A crashed server is recovered by a server without sessions: no standby
    /// settings, no archiving.
    /// </summary>
    private async Task<StepResult> RecoverInSingleUserModeAsync(
        EffectiveSettings effective, IProgress<string> progress, CancellationToken cancellationToken)
    {
        if (PgControl.Read(DataDirectory).File.State is ControlState.ShutDown or ControlState.ShutDownInRecovery)
        {
            return StepResult.Done("was shut down");
        }
        if (File.Exists(Path.Combine(DataDirectory, "backup_label")))
        {
            // Recovery would begin where the backup did, and without its standby settings end wherever the WAL here
            // ends.
            return StepResult.Failed(
                "holds a restored backup whose recovery has not ended (backup_label): it cannot be rewound");
        }
        progress.Report("recovering from the crash in single-user mode");
        var raised = StandbyLimits.Raised(effective.Config, DataDirectory);
        await _files.WriteAsync(effective, asPrimary: true, null, raised, cancellationToken);
        Files.RemoveSignals();
        var arguments = _launch.Arguments(effective.Config, raised);
        arguments.InsertRange(0, ["--single"]);
        arguments.AddRange(["--archive_mode=on", "--archive_command=false", "template1"]);
        var command = new Command(Programs.Postgres, arguments) { Environment = s_englishMessages };
        var recovered = await Runner.RunAsync("postgres --single", command, progress, cancellationToken);
        return recovered.Ok ? recovered : recovered with { IsObstacle = RewindObstacle.Passes(recovered.Detail) };
    }

    /// <summary>
    /// pg_rewind reads the source's pg_control: until the checkpoint after its promotion that names the old timeline,
    /// and a rewind would do nothing.
    /// </summary>
    private async Task<StepResult> WaitForSourceCheckpointAsync(
        string name, HostPort address, CancellationToken cancellationToken)
    {
        await using var session = await OpenRemoteAsync(address, cancellationToken);
        var timeline = await TimelineOfAsync(session, cancellationToken);
        var start = Time.GetTimestamp();
        while (true)
        {
            var checkpoint =
                await session.TextAsync("SELECT timeline_id FROM pg_control_checkpoint()", cancellationToken);
            if (checkpoint == timeline.ToString(CultureInfo.InvariantCulture))
            {
                return StepResult.Done($"{name} has written a checkpoint on timeline {timeline}");
            }
            if (Time.GetElapsedTime(start) > s_sourceCheckpointLimit)
            {
                return StepResult.Failed(
                    $"{name} has not written a checkpoint since its promotion") with { IsObstacle = true };
            }
            await Task.Delay(s_sourcePoll, Time, cancellationToken);
        }
    }

    private Task<ServerSession> OpenRemoteAsync(HostPort address, CancellationToken cancellationToken) =>
        ServerSession.OpenAsync(
        address, Users.RewindOrSuperuser, Settings.Postgres.Database, "Patroni", ServerSession.Heartbeat,
        cancellationToken);

    private static async Task<uint> TimelineOfAsync(ServerSession session, CancellationToken cancellationToken) =>
        uint.Parse(
        (await session.TextAsync("SELECT pg_walfile_name(pg_current_wal_lsn())", cancellationToken) ?? "00000000")[..8],
        NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    /// <summary>
    /// What was found out outlives the agent: diverged data must not be started when the primary is gone.
    /// </summary>
    private void Mark(DivergenceDecision decision)
    {
        try
        {
            if (decision.IsDiverged)
            {
                Damage.SetDiverged(decision.Reason);
            }
            else
            {
                Damage.Fits();
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The loop remembers it as long as this agent lives; the next comparison tries again.
            LogNotMarked(error.Message);
        }
    }

    [LoggerMessage(EventId = 2081, Level = LogLevel.Error,
        Message = "The data could not be marked: {Problem}. If the agent ends now, the next one does not know whether "
            + "they have diverged")]
    private partial void LogNotMarked(string problem);

    [LoggerMessage(
        EventId = 2080, Level = LogLevel.Information, Message = "Compared with the primary: this member {Reason}")]
    private partial void LogDivergence(string reason);
}
