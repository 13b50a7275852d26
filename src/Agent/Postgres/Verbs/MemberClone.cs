using Microsoft.Extensions.Logging;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Configuration;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Programs;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Copies another member: by pg_basebackup, or by a user's script.</summary>
internal sealed partial class MemberClone(ServerContext context, ServerStop stop, DataRoom room)
{
    private const string BaseBackup = "basebackup";
    private const int BaseBackupTries = 2;

    private static readonly TimeSpan s_betweenTries = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_betweenReports = TimeSpan.FromSeconds(10);

    private readonly ILogger _logger = context.Logger;
    private readonly ReplicaMethods _methods = new(context, room);

    /// <summary>Fills the data directory from another member. Does not start the server.</summary>
    public async Task<StepResult> CloneAsync(
        ClonePlan plan, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var source = plan.Source;
        var failures = new List<string>();
        try
        {
            if (plan.Replaces && context.Settings.HasData)
            {
                MarkToBeReplaced();
            }
            var stopped = await stop.StopAsync(new StopPlan(StopMode.Immediate), cancellationToken);
            if (!stopped.Ok)
            {
                return stopped;
            }
            await room.EndLeftoversAsync(cancellationToken);
            var effective = await context.Settings.ForAsync(Role.Replica, cancellationToken);
            var methods = plan.FromRemote ? effective.Config.RemoteReplicaMethods
                : plan.OnlyBaseBackup ? [BaseBackup]
                : effective.Config.CreateReplicaMethods;
            foreach (var method in methods)
            {
                var isBaseBackup = method == BaseBackup;
                // A standby cluster without a host has no member to copy: its first one is restored from the archive.
                if (source?.Address is null
                    && (isBaseBackup || !(plan.FromRemote || effective.Config.ReplicaMethods[method].NoLeader)))
                {
                    continue;
                }
                progress.Report($"creating replica by {method}");
                var result = isBaseBackup
                    ? await RunBaseBackupAsync(source!.Address!.Value, effective, plan, progress, cancellationToken)
                    : await _methods.RunAsync(
                        method, source?.Address, effective, progress, plan.OnCopied, cancellationToken);
                if (result.Ok)
                {
                    context.Filling.MarkFinished();
                    if (!isBaseBackup && effective.Config.ReplicaMethods[method].KeepData)
                    {
                        // marks of the former data; a copy brings those of its source
                        context.Damage.Clear();
                    }
                    context.Files.RestoreCopies();
                    context.Files.TakeOverFromDataDirectory();
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
        var postgres = context.Settings.Postgres;
        var connection = ProgramConnection.ForProgram(
            context.Settings.Local, context.Users.Replication, source, effective.Config, effective.Major,
            context.Settings.Local.Name);
        List<string> arguments = [$"--pgdata={context.Filling.Staging}", "-X", "stream", $"--dbname={connection.Text}",
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
            room.PrepareForCopy(progress);
            DataRoom.EmptyWalDirectory(options);
            PasswordFile.Write(postgres.PasswordFile, source, context.Users);
            StepResult result;
            try
            {
                var command =
                    new Command(context.Programs.BaseBackup, arguments) { Environment = connection.Environment };
                result = await RunCopyAsync("pg_basebackup", command, plan, progress, cancellationToken);
            }
            catch (OperationCanceledException)
            {
                context.Filling.Drop();
                throw;
            }
            if (result.Ok)
            {
                room.ReplaceByCopy();
                return result;
            }
            context.Filling.Drop();
            if (attempt == BaseBackupTries)
            {
                return result;
            }
            LogCloneFailed(BaseBackup, result.Detail);
            await Task.Delay(s_betweenTries, context.Time, cancellationToken);
        }
    }

    /// <summary>Runs a program that tells how far it is: the log has that every ten seconds.</summary>
    private Task<StepResult> RunCopyAsync(
        string name, Command command, ClonePlan plan, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var meter = new CopyMeter(context.Time);
        long? told = null;
        return context.Runner.RunAsync(name, command, progress, cancellationToken, line =>
        {
            if (meter.Read(line) is not { } copied)
            {
                return false;
            }
            plan.OnCopied?.Invoke(copied);
            progress.Report(copied.ToString());
            if (told is not { } at || context.Time.GetElapsedTime(at) >= s_betweenReports)
            {
                told = context.Time.GetTimestamp();
                LogCopied(name, copied);
            }
            return true;
        });
    }

    private void MarkToBeReplaced()
    {
        try
        {
            context.Damage.SetToBeReplaced();
        }
        catch (IOException error)
        {
            LogNotMarkedToBeReplaced(error.Message);   // a full disk is a reason to ask for a copy, not to refuse it
        }
    }

    [LoggerMessage(
        EventId = 2070, Level = LogLevel.Warning, Message = "Making a replica by {Method} failed: {Problem}")]
    private partial void LogCloneFailed(string method, string problem);

    [LoggerMessage(EventId = 2075, Level = LogLevel.Information, Message = "{Program}: {Copied}")]
    private partial void LogCopied(string program, CopyProgress copied);

    [LoggerMessage(EventId = 2076, Level = LogLevel.Warning,
        Message = "The data that a copy is to replace could not be marked: if the agent ends before the copy is whole, "
            + "the next one starts the former data: {Problem}")]
    private partial void LogNotMarkedToBeReplaced(string problem);
}
