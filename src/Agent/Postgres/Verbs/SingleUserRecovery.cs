using Routing.Agent.Native;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Programs;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>
/// Starts and ends a server without sessions (<c>postgres --single</c>) on the data: no standby settings, no archiving.
/// </summary>
internal sealed class SingleUserRecovery(ServerContext context, ServerFiles files, PostmasterLaunch launch)
{
    private static readonly Dictionary<string, string?> s_englishMessages = new() { ["LC_ALL"] = "C" };

    /// <summary>pg_rewind wants data that were shut down: recovers a server that crashed.</summary>
    public async Task<StepResult> AfterCrashAsync(
        EffectiveSettings effective, IProgress<string> progress, CancellationToken cancellationToken)
    {
        if (PgControl.Read(context.DataDirectory).File.State
            is ControlState.ShutDown or ControlState.ShutDownInRecovery)
        {
            return StepResult.Done("was shut down");
        }
        progress.Report("recovering from the crash in single-user mode");
        return await RunAsync(effective, progress, cancellationToken);
    }

    /// <summary>
    /// PostgreSQL refuses to start a standby on what a primary with <c>wal_level</c> <c>minimal</c> wrote last. After a
    /// start with the level that the agent sets, and a shutdown, it does not.
    /// </summary>
    /// <remarks>
    /// Only for the data of a primary that nobody else leads: the history of another leader would not hold what is
    /// written here.
    /// </remarks>
    public async Task<StepResult> LeaveMinimalWalAsync(
        IProgress<string> progress, CancellationToken cancellationToken)
    {
        var control = PgControl.Read(context.DataDirectory);
        var wasPrimary = control.File.State is ControlState.ShutDown or ControlState.ShuttingDown
            or ControlState.InCrashRecovery or ControlState.InProduction;
        if (!control.IsWalMinimal || !wasPrimary || context.Files.HasRecoverySignal)
        {
            return StepResult.Done("can start as a standby");
        }
        progress.Report("raises wal_level in single-user mode: a standby cannot start on WAL of the level minimal");
        // As a primary writes its WAL from here on.
        var effective = await context.Settings.ForAsync(Role.Primary, cancellationToken);
        return await RunAsync(effective, progress, cancellationToken);
    }

    private async Task<StepResult> RunAsync(
        EffectiveSettings effective, IProgress<string> progress, CancellationToken cancellationToken)
    {
        if (File.Exists(Path.Combine(context.DataDirectory, "backup_label")))
        {
            // Recovery would begin where the backup did, and without its standby settings end wherever the WAL here
            // ends.
            return StepResult.Failed(
                "holds a restored backup whose recovery has not ended (backup_label): single-user mode cannot end it");
        }
        var raised = StandbyLimits.Raised(effective.Config, context.DataDirectory);
        await files.WriteAsync(effective, asPrimary: true, null, raised, cancellationToken);
        context.Files.RemoveSignals();
        var arguments = launch.Arguments(effective.Config, raised);
        arguments.InsertRange(0, ["--single"]);
        arguments.AddRange(["--archive_mode=on", "--archive_command=false", "template1"]);
        var command = new Command(context.Programs.Postgres, arguments) { Environment = s_englishMessages };
        var recovered = await context.Runner.RunAsync("postgres --single", command, progress, cancellationToken);
        return recovered.Ok ? recovered : recovered with { IsObstacle = RewindObstacle.Passes(recovered.Detail) };
    }
}
