using Microsoft.Extensions.Logging;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Verbs;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres;

/// <content>A copy of another member.</content>
internal sealed partial class LocalPostgresServer
{
    private const string BaseBackup = "basebackup";
    private const int BaseBackupTries = 2;

    private static readonly TimeSpan s_betweenTries = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_betweenReports = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    public async Task<StepResult> CloneAsync(
        ClonePlan plan, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var source = plan.Source;
        var failures = new List<string>();
        try
        {
            if (plan.Replaces && HasData)
            {
                MarkToBeReplaced();
            }
            var stopped = await StopAsync(new StopPlan(StopMode.Immediate), cancellationToken);
            if (!stopped.Ok)
            {
                return stopped;
            }
            await EndLeftoversAsync(cancellationToken);
            var effective = await EffectiveAsync(Role.Replica, cancellationToken);
            foreach (var method in plan.OnlyBaseBackup ? [BaseBackup] : effective.Config.CreateReplicaMethods)
            {
                var isBaseBackup = method == BaseBackup;
                if (source?.Address is null && (isBaseBackup || !effective.Config.ReplicaMethods[method].NoLeader))
                {
                    continue;
                }
                progress.Report($"creating replica by {method}");
                var result = isBaseBackup
                    ? await RunBaseBackupAsync(source!.Address!.Value, effective, plan, progress, cancellationToken)
                    : await RunReplicaMethodAsync(method, source?.Address, effective, progress, cancellationToken);
                if (result.Ok)
                {
                    Filling.MarkFinished();
                    if (!isBaseBackup && effective.Config.ReplicaMethods[method].KeepData)
                    {
                        Damage.Clear();   // the marks of what stood there before; those of a source come with its copy
                    }
                    Files.RestoreCopies();
                    Files.TakeOverFromDataDirectory();
                    return StepResult.Done(
                        $"created a replica by {method}{(source is null ? "" : $" from {source.Name}")}");
                }
                failures.Add(result.Detail);
                LogCloneFailed(method, result.Detail);
            }
            return StepResult.Failed(failures.Count == 0
                ? "no method can make a replica without a running member to copy from"
                : $"could not make a replica: {string.Join("; ", failures)}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException)
        {
            return StepResult.Failed($"could not make a replica: {error.Message}");
        }
    }

    private async Task<StepResult> RunBaseBackupAsync(
        HostPort source, EffectiveSettings effective, ClonePlan plan, IProgress<string> progress,
        CancellationToken cancellationToken)
    {
        var postgres = Settings.Postgres;
        var connection = ProgramConnection.ForProgram(
            Settings, Users.Replication, source, effective.Config, effective.Major, Settings.Name);
        List<string> arguments = [$"--pgdata={Filling.Staging}", "-X", "stream", $"--dbname={connection.Text}",
            "--progress"];
        var options = effective.Config.BaseBackup;
        arguments.AddRange(options.Where(option => option.Name != "progress").Select(option => option.ToString()));
        if (options.All(option => option.Name is not ("checkpoint" or "c")))
        {
            // else the copy waits for the source's next ordinary checkpoint: minutes
            arguments.Add("--checkpoint=fast");
        }
        for (var attempt = 1; ; attempt++)
        {
            PrepareForCopy(progress);
            EmptyWalDirectory(options);
            PasswordFile.Write(postgres.PasswordFile, source, Users);
            StepResult result;
            try
            {
                var command = new Command(Programs.BaseBackup, arguments) { Environment = connection.Environment };
                result = await RunCopyAsync("pg_basebackup", command, plan, progress, cancellationToken);
            }
            catch (OperationCanceledException)
            {
                Filling.Drop();
                throw;
            }
            if (result.Ok)
            {
                if (Filling.Replace() is { } aside)
                {
                    LogReplaced(aside);
                }
                return result;
            }
            Filling.Drop();
            if (attempt == BaseBackupTries)
            {
                return result;
            }
            LogCloneFailed(BaseBackup, result.Detail);
            await Task.Delay(s_betweenTries, Time, cancellationToken);
        }
    }

    /// <summary>Runs a program that tells how far it is: the log has that every ten seconds.</summary>
    private Task<StepResult> RunCopyAsync(
        string name, Command command, ClonePlan plan, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var meter = new CopyMeter(Time);
        long? told = null;
        return Runner.RunAsync(name, command, progress, cancellationToken, line =>
        {
            if (meter.Read(line) is not { } copied)
            {
                return false;
            }
            plan.OnCopied?.Invoke(copied);
            progress.Report(copied.ToString());
            if (told is not { } at || Time.GetElapsedTime(at) >= s_betweenReports)
            {
                told = Time.GetTimestamp();
                LogCopied(name, copied);
            }
            return true;
        });
    }

    private void MarkToBeReplaced()
    {
        try
        {
            Damage.SetToBeReplaced();
        }
        catch (IOException error)
        {
            LogNotMarkedToBeReplaced(error.Message);   // a full disk is a reason to ask for a copy, not to refuse it
        }
    }

    private async Task<StepResult> RunReplicaMethodAsync(
        string name, HostPort? source, EffectiveSettings effective, IProgress<string> progress,
        CancellationToken cancellationToken)
    {
        var method = effective.Config.ReplicaMethods[name];
        var postgres = Settings.Postgres;
        ProgramConnection? connection = null;
        if (source is { } address)
        {
            PasswordFile.Write(postgres.PasswordFile, address, Users);
            connection =
                ProgramConnection.ForScript(Settings, Users.Replication, address, effective.Config, effective.Major);
        }
        if (!method.KeepData)
        {
            PrepareForScript(name);
        }
        List<string> arguments = method.NoParameters
            ? []
            : [$"--scope={Settings.Scope}", "--role=replica", $"--datadir={DataDirectory}",
                $"--connstring={connection?.Text}"];
        arguments.AddRange(method.Arguments.Select(argument => $"--{argument.Key}={argument.Value}"));
        var command = ProgramRunner.CommandFor(method.Command, [.. arguments]) with
        {
            Environment = connection?.Environment
                ?? new Dictionary<string, string?> { ["PGPASSFILE"] = postgres.PasswordFile }
                    as IReadOnlyDictionary<string, string?>,
        };
        var done = false;
        try
        {
            var result = await Runner.RunScriptAsync(name, command, progress, cancellationToken);
            done = result.Ok;
            return result;
        }
        finally
        {
            if (!done && !method.KeepData)
            {
                DataRemoval.Clear(DataDirectory);
                Filling.MarkFinished();   // an empty directory needs no marker: what comes next is not ours
            }
        }
    }

    [LoggerMessage(
        EventId = 2070, Level = LogLevel.Warning, Message = "Making a replica by {Method} failed: {Problem}")]
    private partial void LogCloneFailed(string method, string problem);

    [LoggerMessage(EventId = 2075, Level = LogLevel.Information, Message = "{Program}: {Copied}")]
    private partial void LogCopied(string program, CopyProgress copied);

    [LoggerMessage(EventId = 2076, Level = LogLevel.Warning,
        Message = "The data to be replaced cannot be marked: an agent that ends before the copy is whole goes on with "
            + "them: {Problem}")]
    private partial void LogNotMarkedToBeReplaced(string problem);
}
