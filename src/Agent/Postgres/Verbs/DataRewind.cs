using System.Globalization;
using Npgsql;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Configuration;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Programs;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Rewinds diverged data by pg_rewind.</summary>
internal sealed class DataRewind(
    ServerContext context, ServerFiles files, PostmasterLaunch launch, ServerStop stop, DataRoom room,
    SingleUserRecovery singleUser)
{
    private const string RestoreCommand = "restore_command";

    private static readonly TimeSpan s_sourceCheckpointLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_sourcePoll = TimeSpan.FromMilliseconds(100);

    private readonly WalArchiving _archiving = new(context);

    /// <summary>Stops the server if it runs, and rewinds the data to the history of a primary.</summary>
    public async Task<StepResult> RewindAsync(
        Member primary, IProgress<string> progress, CancellationToken cancellationToken)
    {
        if (primary.Address is not { } address)
        {
            return StepResult.Failed($"{primary.Name} publishes no address");
        }
        try
        {
            var stopped = await stop.StopAsync(
                new StopPlan(StopMode.Fast, EscalateAfter: TimeSpan.FromSeconds(60)), cancellationToken);
            if (!stopped.Ok)
            {
                return stopped;
            }
            var effective = await context.Settings.ForAsync(Role.Replica, cancellationToken);
            await room.EndLeftoversAsync(cancellationToken);
            await launch.ClearGroundAsync(cancellationToken);
            if (HasRewoundAlready())
            {
                context.Damage.Clear();
                return StepResult.Done("an earlier rewind had copied everything when it was interrupted");
            }
            if (await singleUser.AfterCrashAsync(effective, progress, cancellationToken) is { Ok: false } unclean)
            {
                return unclean;
            }
            if (await WaitForSourceCheckpointAsync(primary.Name, address, cancellationToken) is { Ok: false } notYet)
            {
                return notYet;
            }
            await _archiving.RunAsync(effective, progress, cancellationToken);
            PasswordFile.Write(context.Settings.Postgres.PasswordFile, address, context.Users);
            if (effective.Config.RecoveryParameters.ContainsKey(RestoreCommand))
            {
                // pg_rewind reads it from the files, and those of a primary do not have it.
                await files.WriteAsync(
                    effective, asPrimary: false, null, StandbyLimits.Raised(effective.Config, context.DataDirectory),
                    cancellationToken);
            }
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
        context.Damage.Read() == DataDamage.HalfRewound
        && File.Exists(Path.Combine(context.DataDirectory, "backup_label"))
        && PgControl.Read(context.DataDirectory).File.State == ControlState.InArchiveRecovery;

    /// <summary>Runs pg_rewind under a mark. It touches nothing before it has told how much it will copy.</summary>
    private async Task<StepResult> RunRewindAsync(
        Command command, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var wasHalfRewound = context.Damage.Read() == DataDamage.HalfRewound;
        var hasBegun = false;
        context.Damage.BeginRewind();
        try
        {
            var result = await context.Runner.RunAsync(
                "pg_rewind", command, progress, cancellationToken,
                line => hasBegun |= line.Contains("need to copy", StringComparison.Ordinal));
            if (result.Ok)
            {
                context.Damage.Clear();
                return result;
            }
            return result with { IsObstacle = RewindObstacle.Passes(result.Detail) };
        }
        finally
        {
            if (!hasBegun && !wasHalfRewound)
            {
                context.Damage.RewindNotBegun();
            }
        }
    }

    private Command RewindCommand(HostPort source, EffectiveSettings effective)
    {
        var postgres = context.Settings.Postgres;
        var connection = ProgramConnection.ForProgram(
            context.Settings.Local, context.Users.RewindOrSuperuser, source, effective.Config, effective.Major);
        List<string> arguments = [$"--target-pgdata={context.DataDirectory}", $"--source-server={connection.Text}",
            "--progress"];
        var configurationOutside = postgres.ConfigDirectory != context.DataDirectory;
        var restores = effective.Config.RecoveryParameters.ContainsKey(RestoreCommand);
        var takesFile = ServerFeatures.RewindTakesConfigFile(effective.Major);
        if (configurationOutside && takesFile)
        {
            arguments.Add($"--config-file={context.Files.Main}");
        }
        if (restores && (takesFile || !configurationOutside))
        {
            arguments.Add("--restore-target-wal");
        }
        arguments.AddRange(effective.Config.Rewind.Where(option => option.Name is not ("progress" or "P"))
            .Select(option => option.ToString()));
        return new Command(context.Programs.Rewind, arguments)
        {
            Environment = connection.Environment.SetItem("LC_ALL", "C"),
        };
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
        var start = context.Time.GetTimestamp();
        while (true)
        {
            var checkpoint =
                await session.TextAsync("SELECT timeline_id FROM pg_control_checkpoint()", cancellationToken);
            if (checkpoint == timeline.ToString(CultureInfo.InvariantCulture))
            {
                return StepResult.Done($"{name} has written a checkpoint on timeline {timeline}");
            }
            if (context.Time.GetElapsedTime(start) > s_sourceCheckpointLimit)
            {
                return StepResult.Failed(
                    $"{name} has not written a checkpoint since its promotion") with { IsObstacle = true };
            }
            await Task.Delay(s_sourcePoll, context.Time, cancellationToken);
        }
    }

    private Task<ServerSession> OpenRemoteAsync(HostPort address, CancellationToken cancellationToken) =>
        ServerSession.OpenAsync(
        address, context.Users.RewindOrSuperuser, context.Settings.Postgres.Database, "Patroni",
        ServerSession.Heartbeat,
        cancellationToken);

    private static async Task<uint> TimelineOfAsync(ServerSession session, CancellationToken cancellationToken) =>
        uint.Parse(
        (await session.TextAsync("SELECT pg_walfile_name(pg_current_wal_lsn())", cancellationToken) ?? "00000000")[..8],
        NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
