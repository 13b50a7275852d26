using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Configuration;
using Routing.Agent.Postgres.Files;
using Routing.Cluster.Text;
using Routing.Ha;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Makes one new cluster by a user's script.</summary>
internal sealed class CustomBootstrap(
    ServerContext context, ServerFiles files, PostmasterLaunch launch, ServerStart start, ServerStop stop,
    DataRoom room)
{
    private string? _hba;

    /// <summary>Runs the script, and the server until its recovery has ended.</summary>
    public async Task<StepResult> RunAsync(
        CustomBootstrapSettings custom, EffectiveSettings effective, IProgress<string> progress,
        Action<CopyProgress>? onCopied, CancellationToken cancellationToken)
    {
        room.PrepareForScript(custom.Name);
        progress.Report("running custom bootstrap script");
        List<string> arguments = custom.NoParameters
            ? []
            : [$"--scope={context.Settings.Local.Scope}", $"--datadir={context.DataDirectory}"];
        arguments.AddRange(custom.Arguments.Select(argument => $"--{argument.Key}={argument.Value}"));
        var command = ProgramRunner.CommandFor(custom.Command, [.. arguments]);
        var result = await new FillingScript(context).RunAsync(
            custom.Name, command, progress, onCopied, cancellationToken);
        if (!result.Ok)
        {
            return result;
        }
        DataFilling.MarkHalfMade(context.DataDirectory);
        context.Filling.MarkFinished();
        context.Files.RestoreCopies();
        context.Files.TakeOverFromDataDirectory();
        File.Delete(Path.Combine(context.DataDirectory, "promote"));
        _hba = context.Files.ReadHba();
        progress.Report("starting after custom bootstrap");
        var recovery = RecoveryOf(custom);
        var process = await SpawnAsync(custom, recovery, effective, cancellationToken);
        var watch = new ReplayWatch(context, "recovering after the bootstrap script", progress, onCopied)
            .EndingAt(recovery);
        if (await launch.WaitUntilReadyAsync(process, TimeSpan.MaxValue, watch, cancellationToken)
            != StartOutcome.Running)
        {
            return StepResult.Failed(
                $"PostgreSQL does not start after the bootstrap script; {context.Memory.StartProblem}");
        }
        return await WaitForEndOfRecoveryAsync(process, watch, progress, cancellationToken);
    }

    /// <summary>The recovery settings: the configured ones, or those that the script has written.</summary>
    private Dictionary<string, string> RecoveryOf(CustomBootstrapSettings custom) =>
        custom.RecoveryConf?.Where(item => item.Key != "standby_mode").ToDictionary()
            ?? (custom.KeepExistingRecoveryConf ? context.Files.RecoveryOfTool() : []);

    private async Task<PidFd> SpawnAsync(
        CustomBootstrapSettings custom, Dictionary<string, string> recovery, EffectiveSettings effective,
        CancellationToken cancellationToken)
    {
        var configured = custom.RecoveryConf;
        var asStandby = configured is not null
            && Scalars.TryBoolean(configured.GetValueOrDefault("standby_mode"), out var standby) && standby;
        if (configured is not null && asStandby)
        {
            context.Files.SignalStandby();
        }
        else if (configured is not null)
        {
            context.Files.SignalRecovery();
        }
        else if (!custom.KeepExistingRecoveryConf)
        {
            context.Files.RemoveSignals();
        }
        var raised = new Dictionary<string, string>(StringComparer.Ordinal);
        if (configured?.GetValueOrDefault("recovery_target_action") == "promote" || custom.KeepExistingRecoveryConf)
        {
            // Without reads in between, lower limits than the old cluster's do not stop the recovery.
            raised["hot_standby"] = "off";
        }
        // The restored cluster does not know the configured passwords yet: sessions from this host need none.
        var plan = new FilePlan(
            effective.Config with { PgHba = ["local all all trust", "host all all samehost trust"] },
            recovery, null, raised);
        await files.WriteAsync(plan, cancellationToken);
        return launch.Spawn(effective.Config, raised);
    }

    private async Task<StepResult> WaitForEndOfRecoveryAsync(
        PidFd process, ReplayWatch watch, IProgress<string> progress, CancellationToken cancellationToken)
    {
        progress.Report("waiting for end of recovery after bootstrap");
        while (DataDirectoryState.Look(context.DataDirectory, inUse: true).Control?.File.State
            != ControlState.InProduction)
        {
            if (process.HasExited)
            {
                return StepResult.Failed($"PostgreSQL ended during recovery; {context.Memory.StartProblem}");
            }
            watch.Look(process);
            await Task.Delay(ServerWait.Long, context.Time, cancellationToken);
        }
        return StepResult.Done("recovered");
    }

    /// <summary>Recovery settings, lower limits and the open pg_hba.conf were for the bootstrap alone.</summary>
    public async Task<StepResult> RestartAsync(CancellationToken cancellationToken)
    {
        if (_hba is { } hba)
        {
            context.Files.Replace(context.Files.Hba, hba);
        }
        var stopped = await stop.StopAsync(new StopPlan(StopMode.Fast), cancellationToken);
        if (!stopped.Ok)
        {
            return stopped;
        }
        return await start.StartAsync(new StartPlan(AsPrimary: true, null, TimeSpan.MaxValue), cancellationToken)
            == StartOutcome.Running
            ? StepResult.Done("initialized a new cluster by a script")
            : StepResult.Failed($"PostgreSQL does not start again after the bootstrap; {context.Memory.StartProblem}");
    }
}
