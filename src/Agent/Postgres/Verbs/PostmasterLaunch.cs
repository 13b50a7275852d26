using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Files;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Makes a postmaster and waits until it accepts connections.</summary>
internal sealed partial class PostmasterLaunch(ServerContext context, ServerFiles files)
{
    private static readonly TimeSpan s_orphanLimit = TimeSpan.FromSeconds(10);

    private readonly ILogger _logger = context.Logger;

    /// <summary>
    /// Ends what a dead postmaster left running, and removes a postmaster.pid that names another process.
    /// </summary>
    public async Task ClearGroundAsync(CancellationToken cancellationToken)
    {
        if (!await context.Postmaster.WaitForOrphansAsync(s_orphanLimit, cancellationToken))
        {
            LogOrphans(context.DataDirectory);
            context.Postmaster.KillAll();
        }
        context.Postmaster.RemoveForeignFile();
    }

    /// <summary>Keeps and logs why a start has failed.</summary>
    public StartOutcome Fail(string problem)
    {
        context.Memory.StartProblem = problem;
        LogStartFailed(problem);
        return StartOutcome.Failed;
    }

    /// <summary>Starts a postmaster with the files that stand there.</summary>
    /// <exception cref="IOException">A directory or a lock file is in its way.</exception>
    public PidFd Spawn(PostgresConfig config, Dictionary<string, string> raised)
    {
        CreateDirectories(config);
        RemoveForeignSocketLocks(config);
        context.Output.Begin();
        foreach (var (name, value) in raised)
        {
            LogRaised(name, value, config.Parameters.GetValueOrDefault(name) ?? "");
        }
        context.Memory.PendingRestart = raised.ToImmutableSortedDictionary(
            item => item.Key, item => new ParameterChange(item.Value, config.Parameters.GetValueOrDefault(item.Key)),
            StringComparer.Ordinal);
        context.Memory.LastReport = null;
        return context.Postmaster.Start(
            new SpawnRequest(context.Programs.Postgres, Arguments(config, raised)) { LogFile = context.Output.File });
    }

    private void RemoveForeignSocketLocks(PostgresConfig config)
    {
        // Without a setting, the directory depends on how PostgreSQL was built.
        var directories = context.Files.UsersValue("unix_socket_directories", config) ?? "/var/run/postgresql,/tmp";
        foreach (var directory in directories.Split(
            ',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Where(directory => directory.StartsWith('/')))
        {
            if (SocketLock.RemoveForeign(directory, context.Settings.Postgres.Port) is { } pid)
            {
                LogForeignLock(directory, pid);
            }
        }
    }

    /// <summary>Its command line. The controlled parameters stand there, above all files.</summary>
    public List<string> Arguments(PostgresConfig config, Dictionary<string, string> raised)
    {
        List<string> arguments = ["-D", context.DataDirectory, $"--config-file={context.Files.Main}"];
        arguments.AddRange(
            from parameter in config.ControlledParameters
            select $"--{parameter.Key}={raised.GetValueOrDefault(parameter.Key, parameter.Value)}");
        return arguments;
    }

    /// <summary>Polls postmaster.pid, whose last line says when connections are accepted.</summary>
    /// <param name="process">The postmaster.</param>
    /// <param name="timeout">How long to wait.</param>
    /// <param name="watch">Tells meanwhile how far replay is.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<StartOutcome> WaitUntilReadyAsync(
        PidFd process, TimeSpan timeout, ReplayWatch? watch, CancellationToken cancellationToken)
    {
        var start = context.Time.GetTimestamp();
        while (true)
        {
            if (process.HasExited)
            {
                var exit = await process.Exited;
                return Fail($"the postmaster ended ({exit}): {context.Output.LastWords()}");
            }
            if (context.Postmaster.ReadFile(process)?.Status == PostmasterStatus.Ready)
            {
                context.Memory.StartProblem = "";
                files.KeepCopies();
                return StartOutcome.Running;
            }
            var elapsed = context.Time.GetElapsedTime(start);
            if (elapsed >= timeout)
            {
                return StartOutcome.StillStarting;
            }
            watch?.Look(process);
            await Task.Delay(ServerWait.Pause(elapsed), context.Time, cancellationToken);
        }
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
                    Directory.CreateDirectory(Path.Combine(context.DataDirectory, directory));
                }
            }
        }
    }

    [LoggerMessage(EventId = 2030, Level = LogLevel.Error, Message = "PostgreSQL was not started: {Problem}")]
    private partial void LogStartFailed(string problem);

    [LoggerMessage(EventId = 2031, Level = LogLevel.Warning,
        Message = "Processes of a dead postmaster still work in {Directory}: killing them")]
    private partial void LogOrphans(string directory);

    [LoggerMessage(EventId = 2034, Level = LogLevel.Warning, Message =
        "{Parameter} is {Used} for this start as a standby, and not {Configured}: its primary has, or had, as many. A "
            + "smaller value is taken by "
        + "the primary first, when its PostgreSQL restarts in place, and by the standbys after that")]
    private partial void LogRaised(string parameter, string used, string configured);

    [LoggerMessage(EventId = 2029, Level = LogLevel.Warning,
        Message = "The lock file of the socket in {Directory} names process {Pid}, which is not the PostgreSQL that "
            + "made it: the file is removed")]
    private partial void LogForeignLock(string directory, int pid);
}
