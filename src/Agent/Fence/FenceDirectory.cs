using System.Runtime.InteropServices;
using System.Text;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Files;

namespace Routing.Agent.Fence;

/// <summary>The one place that says where agent and fence meet.</summary>
/// <remarks>
/// Memory-backed directories come first: storing into a mapped file on a disk can block while the disk is slow, and an
/// agent must not lose its primary to that. Never inside the data directory: a clone deletes it. A restarted agent
/// finds the fence that guards its postmaster by the order; any other guards nothing, and ends by itself.
/// </remarks>
internal static class FenceDirectory
{
    /// <summary>Creates and returns the directory for the data directory's fence, readable by us alone.</summary>
    /// <param name="dataDirectory">PostgreSQL's data directory; need not exist yet.</param>
    /// <param name="configured">A directory that the operator chose; null for ours.</param>
    /// <exception cref="IOException">None of the places can be used.</exception>
    public static string For(string dataDirectory, string? configured)
    {
        var data = Path.GetFullPath(dataDirectory).TrimEnd('/');
        var name = Path.GetFileName(data);
        if (configured is not null)
        {
            return Find(configured, name, data) ?? Prepare(Path.Combine(configured, Key(name, data)))
                ?? throw new IOException($"The fence's directory {configured} is not writable for the agent's user.");
        }

        var parent = Path.GetDirectoryName(data) ?? "/";
        var shared = $"/dev/shm/routing-{Libc.geteuid()}";
        return Find("/run/routing", name, data) ?? Find(shared, name, data) ?? Find(parent, $".routing-{name}", data)
            ?? Prepare($"/run/routing/{Key(name, data)}", "/run/routing")
            ?? Prepare($"{shared}/{Key(name, data)}", "/dev/shm")
            ?? Prepare(Path.Combine(parent, Key($".routing-{name}", data)))
            ?? throw new IOException(
                "No place for the fence's state: neither /run/routing nor /dev/shm nor the data directory's parent is "
                    + "writable.");
    }

    /// <summary>
    /// Removes the directory of a fence that has ended, but for a report that an agent has still to read.
    /// </summary>
    /// <param name="stateFile">The fence's state.</param>
    public static void Remove(string stateFile)
    {
        try
        {
            File.Delete(stateFile);
            var log = new FileInfo(stateFile + FenceSettings.LogSuffix);
            if (log is { Exists: true, Length: 0 })
            {
                log.Delete();
            }

            Directory.Delete(Path.GetDirectoryName(stateFile)!);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Not empty, or in use by a new agent, which makes what it needs.
        }
    }

    /// <summary>Removes the directory of a fence that ended long ago.</summary>
    /// <param name="stateFile">Its state.</param>
    public static void RemoveWithLog(string stateFile)
    {
        try
        {
            File.Delete(stateFile + FenceSettings.LogSuffix);
            Directory.Delete(Path.GetDirectoryName(stateFile)!);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // In use by a new agent.
        }
    }

    /// <summary>
    /// A readable name that no other data directory has: two containers may give their members the same path, and share
    /// the place.
    /// </summary>
    private static string Key(string name, string data) => $"{name}-{Hash($"{data} {Identity(data)}"):x16}";

    /// <summary>That of the data directory; while it does not exist, of the directory in which it will be.</summary>
    private static FileIdentity? Identity(string path)
    {
        string? existing = path;
        while (existing is not null && !Directory.Exists(existing))
        {
            existing = Path.GetDirectoryName(existing);
        }

        return FileIdentity.Of(existing ?? "/");
    }

    /// <summary>
    /// The directory whose fence has the order to end the postmaster that runs now: an agent that is started again must
    /// find it, though the data directory did not exist yet when the earlier one chose its name.
    /// </summary>
    private static string? Find(string place, string prefix, string data)
    {
        if (PostmasterFile.Read(data) is not { } file || ProcessStat.Read(file.Pid) is not { IsAlive: true } postmaster
            || FileIdentity.Of($"/proc/{file.Pid}/cwd") is not { } directory || directory != FileIdentity.Of(data))
        {
            return null;
        }

        try
        {
            return Directory.EnumerateDirectories(place, prefix + "*")
                .FirstOrDefault(found => IsOurs(found) && Guards(found, postmaster));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;   // no such place
        }
    }

    private static bool Guards(string directory, ProcessStat postmaster)
    {
        using var page = FencePage.OpenForFence(Path.Combine(directory, FenceSettings.StateFileName));
        return page is not null && page.Word is { IsArmed: true } order && order.PostmasterPid == postmaster.Pid
            && page.PostmasterStart == postmaster.StartTicks;
    }

    private static string? Prepare(string path, string? onlyWhenThere = null)
    {
        if (onlyWhenThere is not null && !Directory.Exists(onlyWhenThere))
        {
            return null;
        }

        try
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }

        // In a directory that anyone may write to, another user could have put one of this name there.
        return IsOurs(path) ? path : null;
    }

    /// <summary>A directory of this user that no other one can write to.</summary>
    public static unsafe bool IsOurs(string path)
    {
        const int directoryType = 0xF000, isDirectory = 0x4000, writableByOthers = 0x12;
        Libc.Statx stat;
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return Libc.statx(Libc.AT_FDCWD, name, Libc.AT_SYMLINK_NOFOLLOW, 0x7FF, &stat) == 0
                && stat.Uid == Libc.geteuid()
                && (stat.Mode & directoryType) == isDirectory
                && (stat.Mode & writableByOthers) == 0;
        }
    }

    /// <summary>FNV-1a: alike in every process, unlike the hash of a string.</summary>
    private static ulong Hash(string text)
    {
        var hash = 14695981039346656037UL;
        foreach (var b in MemoryMarshal.AsBytes(text.AsSpan()))
        {
            hash = (hash ^ b) * 1099511628211UL;
        }

        return hash;
    }
}
