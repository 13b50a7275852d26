using Microsoft.Extensions.Logging;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Files;

namespace Routing.Agent.Postgres.Programs;

/// <summary>The server's first process: started, adopted, watched and signalled here, and nowhere else.</summary>
internal sealed partial class Postmaster(string dataDirectory, TimeProvider time, Action wakeUp, ILogger logger)
{
    /// <summary>
    /// Line 3 of postmaster.pid and /proc use different clocks; more than this apart is another process.
    /// </summary>
    private static readonly TimeSpan s_startTimeTolerance = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(5);

    private readonly Lock _lock = new();
    private PidFd? _process;
    private FileIdentity? _directory;

    /// <summary>The running postmaster, adopted if this agent has not started it; null when there is none.</summary>
    public PidFd? Find()
    {
        lock (_lock)
        {
            if (_process is { HasExited: false })
            {
                return _process;
            }
            _process = null;
            if (PostmasterFile.Read(dataDirectory) is not { IsStandalone: false } file
                || ProcessStat.Read(file.Pid) is not { IsAlive: true } stat
                || !IsOurs(file, stat)
                || PidFd.TryOpen(file.Pid, stat.StartTicks) is not { } process)
            {
                return null;
            }
            LogAdopted(file.Pid);
            Watch(process);
            return process;
        }
    }

    /// <summary>Starts one. The caller made sure that none runs.</summary>
    /// <exception cref="IOException">It could not be started.</exception>
    public PidFd Start(SpawnRequest request)
    {
        lock (_lock)
        {
            var process = Spawner.Start(request);
            LogStarted(process.Pid);
            Watch(process);
            return process;
        }
    }

    /// <summary>postmaster.pid as it is now, when it is this process's.</summary>
    public PostmasterFile? ReadFile(PidFd process) =>
        PostmasterFile.Read(dataDirectory) is { } file && file.Pid == process.Pid ? file : null;

    /// <summary>
    /// Waits until no process works in the data directory: a killed postmaster's children end a little later.
    /// </summary>
    /// <returns>False when some are left after the time.</returns>
    public async Task<bool> WaitForOrphansAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        while (ProcessesInside().Count > 0)
        {
            if (time.GetElapsedTime(start) > limit)
            {
                return false;
            }
            await Task.Delay(s_poll, time, cancellationToken);
        }
        return true;
    }

    /// <summary>Kills the postmaster and everything that works in the data directory.</summary>
    public void KillAll()
    {
        var children = ProcessesInside();
        Find()?.TrySignal(Signals.Kill);
        foreach (var stat in children)
        {
            using var child = PidFd.TryOpen(stat.Pid, stat.StartTicks);
            child?.TrySignal(Signals.Kill);
        }
    }

    /// <summary>
    /// Removes a postmaster.pid of an earlier life of the machine or container whose number belongs to another process
    /// by now: PostgreSQL takes any living process of its user for its postmaster, and does not start.
    /// </summary>
    public void RemoveForeignFile()
    {
        if (PostmasterFile.Read(dataDirectory) is not { } file
            || ProcessStat.Read(file.Pid) is not { IsAlive: true }
            || WorksInside(file.Pid) != false   // ours, or it cannot be told
            || ProcessesInside().Count > 0)
        {
            return;
        }
        LogForeignFile(file.Pid);
        File.Delete(Path.Combine(dataDirectory, "postmaster.pid"));
    }

    /// <summary>The server's processes know their directory as their working directory.</summary>
    private List<ProcessStat> ProcessesInside()
    {
        var found = new List<ProcessStat>();
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory), out var pid) && pid != Environment.ProcessId
                && WorksInside(pid) == true && ProcessStat.Read(pid) is { IsAlive: true } stat)
            {
                found.Add(stat);
            }
        }
        return found;
    }

    private bool IsOurs(PostmasterFile file, ProcessStat stat) =>
        WorksInside(file.Pid)
        ?? TimeSpan.FromSeconds(Math.Abs(file.StartSeconds - stat.StartEpochSeconds)) <= s_startTimeTolerance;

    /// <summary>Whether it is a PostgreSQL process on our directory; null when the system does not tell.</summary>
    private bool? WorksInside(int pid)
    {
        // By device and inode: the same path may lead to another directory in the mount namespace of that process.
        _directory = FileIdentity.Of(dataDirectory) ?? _directory;
        if (_directory is null)
        {
            return false;   // there has never been a postmaster in it
        }
        if (FileIdentity.Of($"/proc/{pid}/cwd") is not { } directory)
        {
            return null;
        }
        if (directory != _directory)
        {
            return false;
        }
        try
        {
            return File.ResolveLinkTarget($"/proc/{pid}/exe", returnFinalTarget: false)?.Name.StartsWith(
                "postgres", StringComparison.Ordinal) == true;
        }
        catch (IOException)
        {
            // It is about to end: the kernel forgets the program first, gives the shared memory back next, and the
            // directory last.
            return true;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }
    }

    private void Watch(PidFd process)
    {
        _process = process;
        _ = NotifyAsync(process);
    }

    /// <summary>
    /// Waits for the end of the process, and reports it. No caller waits for this task: it ends with the process, or
    /// with the agent.
    /// </summary>
    private async Task NotifyAsync(PidFd process)
    {
        var exit = await process.Exited;
        LogExited(process.Pid, exit);
        wakeUp();
    }

    [LoggerMessage(EventId = 2001, Level = LogLevel.Information, Message = "Adopted the running postmaster {Pid}")]
    private partial void LogAdopted(int pid);

    [LoggerMessage(EventId = 2002, Level = LogLevel.Information, Message = "Started postmaster {Pid}")]
    private partial void LogStarted(int pid);

    [LoggerMessage(EventId = 2004, Level = LogLevel.Warning,
        Message = "postmaster.pid names process {Pid}, which is no PostgreSQL of this data directory: the file is "
            + "removed")]
    private partial void LogForeignFile(int pid);

    [LoggerMessage(EventId = 2003, Level = LogLevel.Information, Message = "Postmaster {Pid} is gone: {Exit}")]
    private partial void LogExited(int pid, ProcessExit exit);
}
