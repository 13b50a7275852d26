using System.Collections.Immutable;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Verbs;
using Routing.Cluster;

namespace Routing.Agent.Postgres;

/// <content>Starting, restarting.</content>
internal sealed partial class LocalPostgresServer
{
    private static readonly TimeSpan s_shortPoll = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan s_longPoll = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_shortPollsFor = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan s_orphanLimit = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    public async Task<StartOutcome> StartAsync(StartPlan plan, CancellationToken cancellationToken)
    {
        var effective = await EffectiveAsync(plan.AsPrimary ? Role.Primary : Role.Replica, cancellationToken);
        var timeout = plan.Timeout ?? effective.Config.StartStopTimeout;
        if (Postmaster.Find() is { } running)
        {
            plan.OnPostmaster?.Invoke(running.Pid);
            return await WaitUntilReadyAsync(running, timeout, cancellationToken);
        }
        try
        {
            if (!await Postmaster.WaitForOrphansAsync(s_orphanLimit, cancellationToken))
            {
                LogOrphans(DataDirectory);
                Postmaster.KillAll();
            }
            Postmaster.RemoveForeignFile();
            var process = await SpawnAsync(plan, effective, cancellationToken);
            plan.OnPostmaster?.Invoke(process.Pid);
            var outcome = await WaitUntilReadyAsync(process, timeout, cancellationToken);
            if (outcome == StartOutcome.Failed && PutAccessFilesBack())
            {
                process = await SpawnAsync(plan, effective, cancellationToken);
                plan.OnPostmaster?.Invoke(process.Pid);
                outcome = await WaitUntilReadyAsync(process, timeout, cancellationToken);
            }
            return outcome;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            StartProblem = error.Message;
            LogStartFailed(error.Message);
            return StartOutcome.Failed;
        }
    }

    /// <inheritdoc/>
    public async Task<RestartResult> RestartAsync(
        RestartPlan plan, IProgress<string> progress, CancellationToken cancellationToken)
    {
        progress.Report("stops PostgreSQL");
        var stopped = await StopAsync(plan.Stop, cancellationToken);
        if (!stopped.Ok)
        {
            return new RestartResult(null, stopped.Detail);
        }
        cancellationToken.ThrowIfCancellationRequested();
        if (!plan.MayStart())
        {
            return new RestartResult(null, "was stopped, and does not lead any more") { MustNotStart = true };
        }
        progress.Report("starts PostgreSQL");
        return await StartAsync(plan.Start, cancellationToken) switch
        {
            StartOutcome.Running => new RestartResult(StartOutcome.Running, "restarted"),
            StartOutcome.StillStarting =>
                new RestartResult(StartOutcome.StillStarting, "is still starting after the restart"),
            _ => new RestartResult(StartOutcome.Failed, $"did not start again: {StartProblem}"),
        };
    }

    /// <inheritdoc/>
    public string StartProblem { get; private set; } = "";

    /// <summary>
    /// pg_hba.conf or pg_ident.conf keep the server from starting: the last ones that it accepted take their place. It
    /// must not stay down for a line that only lets somebody in.
    /// </summary>
    private bool PutAccessFilesBack()
    {
        var changed = false;
        foreach (var path in new[] { Files.Hba, Files.Ident }.Where(
            path => StartProblem.Contains(path, StringComparison.Ordinal)))
        {
            if (Files.Refuse(path, Files.LastGood(path)))
            {
                _context.Notes.Refused(path, StartProblem);
                changed = true;
            }
        }
        return changed;
    }

    private async Task<PidFd> SpawnAsync(
        StartPlan plan, EffectiveSettings effective, CancellationToken cancellationToken)
    {
        Filling.MarkFinished();
        // A file that is gone comes back as PostgreSQL accepted it last; a new configuration directory gets what the
        // data directory has.
        Files.TakeOverFromDataDirectory();
        Files.RestoreCopies();
        var raised = plan.AsPrimary ? [] : RaisedForStandby(effective.Config);
        await WriteFilesAsync(effective, plan.AsPrimary, plan.Upstream, raised, cancellationToken);
        if (plan.AsPrimary)
        {
            Files.RemoveSignals();
        }
        else
        {
            DropReservations();
            Files.SignalStandby();
        }
        return SpawnWithFiles(effective.Config, raised);
    }

    private PidFd SpawnWithFiles(PostgresConfig config, Dictionary<string, string> raised)
    {
        CreateDirectories(config);
        RemoveForeignSocketLocks(config);
        Output.Begin();
        foreach (var (name, value) in raised)
        {
            LogRaised(name, value, config.Parameters.GetValueOrDefault(name) ?? "");
        }
        Memory.PendingRestart = raised.ToImmutableSortedDictionary(
            item => item.Key, item => new ParameterChange(item.Value, config.Parameters.GetValueOrDefault(item.Key)),
            StringComparer.Ordinal);
        Memory.LastReport = null;
        return Postmaster.Start(
            new SpawnRequest(Programs.Postgres, Arguments(config, raised)) { LogFile = Output.File });
    }

    private void RemoveForeignSocketLocks(PostgresConfig config)
    {
        // Where nobody has said it, it depends on how PostgreSQL was built.
        var directories = Files.UsersValue("unix_socket_directories", config) ?? "/var/run/postgresql,/tmp";
        foreach (var directory in directories.Split(
            ',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Where(directory => directory.StartsWith('/')))
        {
            if (SocketLock.RemoveForeign(directory, Settings.Postgres.Port) is { } pid)
            {
                LogForeignLock(directory, pid);
            }
        }
    }

    private List<string> Arguments(PostgresConfig config, Dictionary<string, string> raised)
    {
        List<string> arguments = ["-D", DataDirectory, $"--config-file={Files.Main}"];
        arguments.AddRange(
            from parameter in config.ControlledParameters
            select $"--{parameter.Key}={raised.GetValueOrDefault(parameter.Key, parameter.Value)}");
        return arguments;
    }

    /// <summary>Polls postmaster.pid, whose last line says when connections are accepted.</summary>
    private async Task<StartOutcome> WaitUntilReadyAsync(
        PidFd process, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var start = Time.GetTimestamp();
        while (true)
        {
            if (process.HasExited)
            {
                var exit = await process.Exited;
                StartProblem = $"the postmaster ended ({exit}): {Output.LastWords()}";
                LogStartFailed(StartProblem);
                return StartOutcome.Failed;
            }
            if (Postmaster.ReadFile(process)?.Status == PostmasterStatus.Ready)
            {
                StartProblem = "";
                KeepCopies();
                return StartOutcome.Running;
            }
            var elapsed = Time.GetElapsedTime(start);
            if (elapsed >= timeout)
            {
                return StartOutcome.StillStarting;
            }
            await Task.Delay(elapsed < s_shortPollsFor ? s_shortPoll : s_longPoll, Time, cancellationToken);
        }
    }

    /// <summary>A standby refuses to start with fewer of these than its primary had: pg_control knows.</summary>
    private Dictionary<string, string> RaisedForStandby(PostgresConfig config)
    {
        var raised = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, least) in LeastForStandby(PgControl.Read(DataDirectory)))
        {
            if (int.TryParse(config.Parameters.GetValueOrDefault(name), NumberStyles.None, CultureInfo.InvariantCulture,
                out var configured)
                && configured < least)
            {
                raised[name] = least.ToString(CultureInfo.InvariantCulture);
            }
        }
        return raised;
    }

    private void CreateDirectories(PostgresConfig config)
    {
        foreach (var name in new[] { "unix_socket_directories", "stats_temp_directory" })
        {
            foreach (var directory in (config.Parameters.GetValueOrDefault(name) ?? "").Split(
                ',', StringSplitOptions.TrimEntries))
            {
                if (directory.Length > 0 && directory[0] != '@')
                {
                    Directory.CreateDirectory(Path.Combine(DataDirectory, directory));
                }
            }
        }
    }

    [LoggerMessage(EventId = 2030, Level = LogLevel.Error, Message = "PostgreSQL was not started: {Problem}")]
    private partial void LogStartFailed(string problem);

    /// <inheritdoc/>
    public async Task<StepResult> ResumeReplayAsync(CancellationToken cancellationToken)
    {
        const string query =
            """
            SELECT string_agg(name || '=' || setting, ',') FROM pg_settings
             WHERE name IN ('max_connections', 'max_prepared_transactions', 'max_locks_per_transaction', 'max_worker_processes', 'max_wal_senders')
            """;
        try
        {
            var control = PgControl.Read(DataDirectory);
            await using var session = await OpenLocalAsync(ServerSession.Heartbeat, cancellationToken);
            var settings =
                (await session.TextAsync(query, cancellationToken) ?? "").Split(',').Select(pair => pair.Split('='))
                .ToDictionary(pair => pair[0], pair => int.Parse(pair[1], CultureInfo.InvariantCulture),
                    StringComparer.Ordinal);
            var tooLow =
                LeastForStandby(control).Where(least => settings.GetValueOrDefault(least.Name) < least.Value).ToList();
            if (tooLow.Count == 0)
            {
                return StepResult.Done("replay was paused by hand");
            }
            // The server ends with that, and its next start takes the values that its primary has.
            await session.ExecuteAsync("SELECT pg_wal_replay_resume()", cancellationToken);
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

    private static (string Name, int Value)[] LeastForStandby(PgControl control) =>
    [
        ("max_connections", control.MaxConnections),
        ("max_prepared_transactions", control.MaxPreparedTransactions),
        ("max_locks_per_transaction", control.MaxLocksPerTransaction),
        ("max_worker_processes", control.MaxWorkerProcesses),
        ("max_wal_senders", control.MaxWalSenders),
    ];

    [LoggerMessage(EventId = 2034, Level = LogLevel.Warning, Message =
        "{Parameter} is {Used} for this start as a standby, and not {Configured}: its primary has, or had, as many. A "
            + "smaller value is taken by "
        + "the primary first, when its PostgreSQL restarts in place, and by the standbys after that")]
    private partial void LogRaised(string parameter, string used, string configured);

    [LoggerMessage(EventId = 2031, Level = LogLevel.Warning,
        Message = "Processes of a dead postmaster still work in {Directory}: killing them")]
    private partial void LogOrphans(string directory);
}
