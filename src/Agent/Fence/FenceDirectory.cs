using System.Runtime.InteropServices;
using System.Text;
using Routing.Agent.Native;

namespace Routing.Agent.Fence;

/// <summary>The one place that says where agent and fence meet.</summary>
/// <remarks>
/// Memory-backed directories come first: storing into a mapped file on a disk can block while the disk is slow, and an agent
/// must not lose its primary to that. Never inside the data directory: a clone deletes it. The choice depends on nothing that
/// changes while the machine runs, so that a restarted agent finds its fence again.
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
        var name = $"{Path.GetFileName(data)}-{Hash(data):x16}";
        if (configured is not null)
        {
            return Prepare(Path.Combine(configured, name))
                ?? throw new IOException($"The fence's directory {configured} is not writable for us.");
        }

        return Prepare($"/run/routing/{name}", "/run/routing")
            ?? Prepare($"/dev/shm/routing-{Libc.geteuid()}/{name}", "/dev/shm")
            ?? Prepare(Path.Combine(Path.GetDirectoryName(data) ?? "/", $".routing-{Path.GetFileName(data)}"))
            ?? throw new IOException(
                "No place for the fence's state: neither /run/routing nor /dev/shm nor the data directory's parent is writable.");
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

    private static unsafe bool IsOurs(string path)
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
