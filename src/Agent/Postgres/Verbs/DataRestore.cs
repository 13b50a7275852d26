using System.Globalization;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Configuration;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Programs;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Takes the local data back to an earlier moment, from the repository.</summary>
internal sealed partial class DataRestore(
    ServerContext context, ServerFiles files, PostmasterLaunch launch, ServerStop stop, DataRoom room)
{
    private static readonly TimeSpan s_stopLimit = TimeSpan.FromMinutes(5);

    private readonly ILogger _logger = context.Logger;

    /// <summary>Restores, and replays to the target. Leaves a standby that stands still there.</summary>
    public async Task<StepResult> RestoreAsync(
        RestorePlan plan, IProgress<string> progress, CancellationToken cancellationToken)
    {
        if (context.Settings.Local.PgBackRest is not { } repository)
        {
            return StepResult.Failed("has no pgbackrest section");
        }
        var place = new RestorePlace(context.DataDirectory, plan.Request.Id);
        try
        {
            if (!place.IsInPlace
                && await BringAsync(place, repository, plan, progress, cancellationToken) is { Ok: false } failed)
            {
                return failed;
            }
            return await ReplayAsync(place, repository, plan, progress, cancellationToken);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidDataException
            or FormatException)
        {
            return StepResult.Failed(error.Message);
        }
    }

    /// <summary>Stops the server and puts the data back that a restore has set aside.</summary>
    public async Task<StepResult> PutBackAsync(
        string id, IProgress<string> progress, CancellationToken cancellationToken)
    {
        progress.Report("stops PostgreSQL");
        var stopped = await stop.StopAsync(new StopPlan(StopMode.Immediate), cancellationToken);
        if (!stopped.Ok)
        {
            return stopped;
        }
        try
        {
            await room.EndLeftoversAsync(cancellationToken);
            var place = new RestorePlace(context.DataDirectory, id);
            place.PutBack();
            LogPutBack(place.Aside);
            return StepResult.Done("has its former data again");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return StepResult.Failed($"the data could not be put back: {error.Message}");
        }
    }

    /// <summary>The restored data stand in the data directory afterwards; when it fails the former ones do.</summary>
    private async Task<StepResult> BringAsync(
        RestorePlace place, PgBackRestSettings repository, RestorePlan plan, IProgress<string> progress,
        CancellationToken cancellationToken)
    {
        if (place.Problem() is { } problem)
        {
            return StepResult.Failed(problem);
        }
        progress.Report("stops PostgreSQL: nothing is written from here on");
        var stopped = await stop.StopAsync(
            new StopPlan(StopMode.Fast, Checkpoint: true, EscalateAfter: s_stopLimit), cancellationToken);
        if (!stopped.Ok)
        {
            return stopped;
        }
        if (!place.IsStaged)
        {
            var read = await ReadRepositoryAsync(place, repository, plan, progress, cancellationToken);
            if (!read.Ok)
            {
                place.Drop();
                return read;
            }
            var (own, restored) = (SystemOf(context.DataDirectory), SystemOf(place.Staging));
            if (own is not null && own != restored)
            {
                place.Drop();
                return StepResult.Failed(
                    $"the repository holds another cluster: its system identifier is {restored}, and not {own}");
            }
            place.MarkStaged();
        }
        place.Swap();
        LogInPlace(place.Aside);
        return StepResult.Done("restored");
    }

    private async Task<StepResult> ReadRepositoryAsync(
        RestorePlace place, PgBackRestSettings repository, RestorePlan plan, IProgress<string> progress,
        CancellationToken cancellationToken)
    {
        progress.Report("restores from the repository");
        // An earlier agent may have died, and its pgBackRest fills the same place.
        await room.EndLeftoversAsync(cancellationToken);
        // A repository restores no WAL: that comes with the replay.
        var size = GrowthWatch.SizeOf(context.DataDirectory)
            - GrowthWatch.SizeOf(Path.Combine(context.DataDirectory, "pg_wal"));
        place.Prepare();
        var request = plan.Request;
        List<string> words = [.. repository.Words, $"--pg1-path={place.Staging}", $"--type={request.Target.Kind}",
            "--log-level-file=off", "--log-level-console=info"];
        if (request.Target.Value.Length > 0)
        {
            words.Add($"--target={request.Target.Value}");
        }
        if (request.Backup is { } label)
        {
            words.Add($"--set={label}");
        }
        words.Add("restore");
        var command = LeftoverPrograms.Marked(new Command(words[0], words[1..]), context.DataDirectory);
        return await new GrowthWatch(place.Staging, size, context.Time).WhileAsync(
            () => context.Runner.RunAsync("pgbackrest", command, progress, cancellationToken),
            copied =>
            {
                plan.OnCopied?.Invoke(copied);
                progress.Report($"restores from the repository: {copied}");
            },
            LogCopied, cancellationToken);
    }

    private async Task<StepResult> ReplayAsync(
        RestorePlace place, PgBackRestSettings repository, RestorePlan plan, IProgress<string> progress,
        CancellationToken cancellationToken)
    {
        var request = plan.Request;
        var recovery = RecoveryOf(repository, request);
        var effective = await context.Settings.ForAsync(Role.Replica, cancellationToken);
        var least = place.Aside is var aside && Directory.Exists(aside)
            ? StandbyLimits.Least(PgControl.Read(aside))
            : [];
        while (true)
        {
            var process = context.Postmaster.Find();
            if (process is null)
            {
                least = Most(least, StandbyLimits.Least(PgControl.Read(context.DataDirectory)));
                process = await SpawnAsync(recovery, effective, Raised(effective, least), cancellationToken);
            }
            progress.Report($"replays to {request.Target}");
            var watch = new ReplayWatch(context, $"replays to {request.Target}", progress, plan.OnCopied)
                .EndingAt(recovery);
            if (await launch.WaitUntilReadyAsync(process, TimeSpan.MaxValue, watch, cancellationToken)
                != StartOutcome.Running)
            {
                return StepResult.Failed($"the target was not reached: {context.Memory.StartProblem}");
            }
            if (await WaitForTargetAsync(process, request, watch, progress, cancellationToken) is { Ok: false } failed)
            {
                return failed;
            }
            // Where a limit is too low, replay stands still before the target.
            var seen = StandbyLimits.Least(PgControl.Read(context.DataDirectory));
            if (!Lacks(effective, least, seen))
            {
                return StepResult.Done($"stands still at {request.Target}");
            }
            least = Most(least, seen);
            var stopped = await stop.StopAsync(new StopPlan(StopMode.Fast), cancellationToken);
            if (!stopped.Ok)
            {
                return stopped;
            }
        }
    }

    private Dictionary<string, string> RecoveryOf(PgBackRestSettings repository, RestoreRequest request) =>
        new(StringComparer.Ordinal)
        {
            ["restore_command"] = repository.ForShell($"--pg1-path='{context.DataDirectory}' archive-get %f \"%p\""),
            ["recovery_target_timeline"] = request.Timeline.ToString(CultureInfo.InvariantCulture),
            ["recovery_target_action"] = "pause",
            [request.Target.Kind == "immediate" ? "recovery_target" : $"recovery_target_{request.Target.Kind}"] =
                request.Target.Kind == "immediate" ? "immediate" : request.Target.Value,
        };

    private async Task<PidFd> SpawnAsync(
        Dictionary<string, string> recovery, EffectiveSettings effective, Dictionary<string, string> raised,
        CancellationToken cancellationToken)
    {
        await launch.ClearGroundAsync(cancellationToken);
        context.Files.TakeOverFromDataDirectory();
        context.Files.RestoreCopies();
        TimelineReservations.Drop(context.DataDirectory);
        await files.WriteAsync(new FilePlan(effective.Config, recovery, null, raised), cancellationToken);
        return launch.Spawn(effective.Config, raised);
    }

    private async Task<StepResult> WaitForTargetAsync(
        PidFd process, RestoreRequest request, ReplayWatch watch, IProgress<string> progress,
        CancellationToken cancellationToken)
    {
        const string query =
            """
            SELECT concat_ws('|', pg_is_in_recovery(), pg_is_wal_replay_paused(), pg_last_wal_replay_lsn(),
                (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000)::bigint)
            """;
        while (!process.HasExited)
        {
            try
            {
                await using var session =
                    await context.Connections.OpenAsync(ServerSession.Heartbeat, cancellationToken);
                var answer = (await session.TextAsync(query, cancellationToken) ?? "").Split('|');
                if (answer[0] == "f")
                {
                    return StepResult.Failed("PostgreSQL has left its recovery, and nobody has promoted it");
                }
                if (answer[1] == "t")
                {
                    return StepResult.Done("at the target");
                }
                if (Lsn.TryParse(answer.ElementAtOrDefault(2), out var at))
                {
                    watch.Hear(at, answer.Length > 3
                        ? DateTimeOffset.UnixEpoch.AddMicroseconds(long.Parse(answer[3], CultureInfo.InvariantCulture))
                        : null);
                }
            }
            catch (Exception error) when (error is NpgsqlException or IOException && !process.HasExited)
            {
                progress.Report($"replays to {request.Target}; it does not answer: {error.Message}");
            }
            await Task.Delay(ServerWait.Long, context.Time, cancellationToken);
        }
        return StepResult.Failed($"the target was not reached: {context.Output.LastWords()}");
    }

    private static Dictionary<string, string> Raised(EffectiveSettings effective, (string Name, int Value)[] least) =>
        least.Where(one => Configured(effective, one.Name) is { } value && value < one.Value)
            .ToDictionary(one => one.Name, one => one.Value.ToString(CultureInfo.InvariantCulture));

    private static bool Lacks(
        EffectiveSettings effective, (string Name, int Value)[] used, (string Name, int Value)[] needed) =>
        needed.Any(one => Configured(effective, one.Name) is { } value
            && Math.Max(value, used.FirstOrDefault(two => two.Name == one.Name).Value) < one.Value);

    private static int? Configured(EffectiveSettings effective, string name) =>
        int.TryParse(effective.Config.Parameters.GetValueOrDefault(name), NumberStyles.None,
            CultureInfo.InvariantCulture, out var value)
            ? value
            : null;

    private static (string Name, int Value)[] Most((string Name, int Value)[] left, (string Name, int Value)[] right) =>
        [.. left.Concat(right).GroupBy(one => one.Name).Select(group => (group.Key, group.Max(one => one.Value)))];

    private static string? SystemOf(string directory) =>
        DataDirectoryState.Look(directory, inUse: true).Control?.File.SystemId;

    [LoggerMessage(EventId = 2077, Level = LogLevel.Warning,
        Message = "The restored data are in place; the data that they replace are kept in {Aside}")]
    private partial void LogInPlace(string aside);

    [LoggerMessage(EventId = 2078, Level = LogLevel.Warning,
        Message = "The restore is over: the data that stood in {Aside} are back in place")]
    private partial void LogPutBack(string aside);

    [LoggerMessage(EventId = 2079, Level = LogLevel.Information, Message = "Restore: {Copied}")]
    private partial void LogCopied(CopyProgress copied);
}
