using System.Collections.Immutable;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Cluster;

namespace Routing.Agent.Postgres;

/// <content>Starting, restarting.</content>
internal sealed partial class LocalPostgresServer
{
    private static readonly TimeSpan ShortPoll = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan LongPoll = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan ShortPollsFor = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan OrphanLimit = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    public async Task<StartOutcome> StartAsync(StartPlan plan, CancellationToken cancellationToken)
    {
        var effective = await EffectiveAsync(plan.AsPrimary ? Role.Primary : Role.Replica, cancellationToken);
        var timeout = plan.Timeout ?? effective.Config.StartStopTimeout;
        if (_postmaster.Find() is { } running)
        {
            plan.OnPostmaster?.Invoke(running.Pid);
            return await WaitUntilReadyAsync(running, timeout, cancellationToken);
        }
        try
        {
            if (!await _postmaster.WaitForOrphansAsync(OrphanLimit, cancellationToken))
            {
                LogOrphans(DataDirectory);
                _postmaster.KillAll();
            }
            _postmaster.RemoveForeignFile();
            var process = Spawn(plan, effective);
            plan.OnPostmaster?.Invoke(process.Pid);
            return await WaitUntilReadyAsync(process, timeout, cancellationToken);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            LogStartFailed(error.Message);
            return StartOutcome.Failed;
        }
    }

    /// <inheritdoc/>
    public async Task<StepResult> RestartAsync(TimeSpan? timeout, CancellationToken cancellationToken)
    {
        var seen = await ObserveAsync(cancellationToken);
        var asPrimary = seen.HasProcess ? seen.IsPrimary : !seen.HasRecoverySignal;
        var stopped = await StopAsync(new StopPlan(StopMode.Fast, Checkpoint: true), cancellationToken);
        if (!stopped.Ok)
        {
            return stopped;
        }
        return await StartAsync(new StartPlan(asPrimary, seen.Following, timeout), cancellationToken) switch
        {
            StartOutcome.Running => StepResult.Done("restarted"),
            StartOutcome.StillStarting => StepResult.Failed("is still starting after the restart"),
            _ => StepResult.Failed($"did not start again; see {ServerLog}"),
        };
    }

    /// <summary>What the server says before its own logging begins.</summary>
    private string ServerLog => Path.Combine(_settings.Log.Directory ?? Path.Combine(DataDirectory, "log"), "postgresql-start.log");

    private PidFd Spawn(StartPlan plan, Effective effective, IReadOnlyDictionary<string, string>? overrides = null)
    {
        Filling.MarkFinished();
        var raised = plan.AsPrimary ? [] : RaisedForStandby(effective.Config);
        foreach (var (name, value) in overrides ?? new Dictionary<string, string>())
        {
            raised[name] = value;
        }
        WriteFiles(effective, plan.AsPrimary, plan.Upstream, raised);
        if (plan.AsPrimary)
        {
            _files.RemoveSignals();
        }
        else
        {
            DropReservations();
            _files.SignalStandby();
        }
        return SpawnWithFiles(effective.Config, raised);
    }

    private PidFd SpawnWithFiles(PostgresConfig config, Dictionary<string, string> raised)
    {
        CreateDirectories(config);
        var log = ServerLog;
        Directory.CreateDirectory(Path.GetDirectoryName(log)!);
        _pendingRestart = raised.ToImmutableSortedDictionary(
            item => item.Key, item => new ParameterChange(item.Value, config.Parameters.GetValueOrDefault(item.Key)),
            StringComparer.Ordinal);
        _last = null;
        return _postmaster.Start(new SpawnRequest(_programs.Postgres, Arguments(config, raised)) { LogFile = log });
    }

    private List<string> Arguments(PostgresConfig config, Dictionary<string, string> raised)
    {
        List<string> arguments = ["-D", DataDirectory, $"--config-file={_files.Main}"];
        arguments.AddRange(
            from parameter in config.ControlledParameters
            select $"--{parameter.Key}={raised.GetValueOrDefault(parameter.Key, parameter.Value)}");
        return arguments;
    }

    /// <summary>Polls postmaster.pid, whose last line says when connections are accepted.</summary>
    private async Task<StartOutcome> WaitUntilReadyAsync(PidFd process, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var start = _time.GetTimestamp();
        while (true)
        {
            if (process.HasExited)
            {
                LogStartFailed($"the postmaster ended ({await process.Exited}); see {ServerLog} and the server's own log");
                return StartOutcome.Failed;
            }
            if (_postmaster.ReadFile(process)?.Status == PostmasterStatus.Ready)
            {
                return StartOutcome.Running;
            }
            var elapsed = _time.GetElapsedTime(start);
            if (elapsed >= timeout)
            {
                return StartOutcome.StillStarting;
            }
            await Task.Delay(elapsed < ShortPollsFor ? ShortPoll : LongPoll, _time, cancellationToken);
        }
    }

    /// <summary>A standby refuses to start with fewer of these than its primary had: pg_control knows.</summary>
    private Dictionary<string, string> RaisedForStandby(PostgresConfig config)
    {
        var control = PgControl.Read(DataDirectory);
        var raised = new Dictionary<string, string>(StringComparer.Ordinal);
        Check("max_connections", control.MaxConnections);
        Check("max_prepared_transactions", control.MaxPreparedTransactions);
        Check("max_locks_per_transaction", control.MaxLocksPerTransaction);
        Check("max_worker_processes", control.MaxWorkerProcesses);
        Check("max_wal_senders", control.MaxWalSenders);
        return raised;

        void Check(string name, int least)
        {
            if (int.TryParse(config.Parameters.GetValueOrDefault(name), NumberStyles.None, CultureInfo.InvariantCulture, out var configured)
                && configured < least)
            {
                raised[name] = least.ToString(CultureInfo.InvariantCulture);
            }
        }
    }

    private void CreateDirectories(PostgresConfig config)
    {
        foreach (var name in new[] { "unix_socket_directories", "stats_temp_directory" })
        {
            foreach (var directory in (config.Parameters.GetValueOrDefault(name) ?? "").Split(',', StringSplitOptions.TrimEntries))
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

    [LoggerMessage(EventId = 2031, Level = LogLevel.Warning, Message = "Processes of a dead postmaster still work in {Directory}: killing them")]
    private partial void LogOrphans(string directory);
}
