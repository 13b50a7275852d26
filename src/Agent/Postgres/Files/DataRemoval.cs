using Routing.Agent.Native;

namespace Routing.Agent.Postgres.Files;

/// <summary>
/// Takes data out of the way: set aside where the disk has room for both, else removed. What their links lead to goes
/// with them.
/// </summary>
internal static class DataRemoval
{
    /// <summary>Added to the name of a directory whose content was replaced by a copy.</summary>
    public const string Replaced = ".replaced";

    /// <summary>Added to the name of a directory whose bootstrap failed.</summary>
    public const string Failed = ".failed";

    /// <summary>
    /// Sets a database aside, so that a copy can take its place; removes it where there is no room, or no right to
    /// rename it.
    /// </summary>
    /// <returns>Where it is now; null when it was removed.</returns>
    /// <exception cref="IOException">It can be neither moved nor removed.</exception>
    public static string? MakeRoom(string directory)
    {
        RemoveEarlier(directory);
        if (LinkedDirectories(directory).Prepend(Real(directory)).All(CanRename) && HasRoomForAnother(directory))
        {
            return SetAside(directory, Replaced);
        }
        Clear(directory);
        return null;
    }

    /// <summary>
    /// Whether the data can stay in place while a copy is made inside their directory: the disk has room for both, and
    /// nothing of them stands elsewhere, where the copy would have to go too.
    /// </summary>
    public static bool CanStayBeside(string directory)
    {
        RemoveEarlier(directory);
        return LinkedDirectories(directory).Count == 0 && HasRoomForAnother(directory);
    }

    /// <summary>Renames a data directory and the directories that its links lead to; the links go along.</summary>
    /// <returns>Its new name.</returns>
    /// <exception cref="IOException">It cannot be renamed.</exception>
    public static string SetAside(string directory, string suffix)
    {
        var real = Real(directory);
        if (LinkedDirectories(directory).Prepend(real).FirstOrDefault(path => !CanRename(path)) is { } fixedPlace)
        {
            throw new IOException(
                $"{fixedPlace} cannot be renamed: it is a mount point, or this user may not write to its parent");
        }
        var mode = File.GetUnixFileMode(real);
        var aside = Free(real + suffix);
        Directory.Move(real, aside);
        foreach (var link in Links(aside))
        {
            var target = Directory.ResolveLinkTarget(link, returnFinalTarget: true)!.FullName.TrimEnd('/');
            var moved = Free(target + suffix);
            Directory.Move(target, moved);
            Directory.CreateDirectory(target, DataFilling.DataDirectoryMode);
            File.Delete(link);
            File.CreateSymbolicLink(link, moved);
        }
        Directory.CreateDirectory(real, mode);
        return aside;
    }

    /// <summary>Puts replaced data from inside a data directory beside it, or removes them if it cannot.</summary>
    /// <returns>Where they are, or what became of them.</returns>
    public static string PutBeside(string inside, string directory)
    {
        if (CanRename(directory))
        {
            var aside = Free(Real(directory) + Replaced);
            Directory.Move(inside, aside);
            return aside;
        }
        Directory.Delete(inside, recursive: true);
        return "nothing: they cannot be put beside the data directory";
    }

    /// <summary>
    /// Removes everything inside, and what its links lead to (WAL, tablespaces). The directory itself stays.
    /// </summary>
    public static void Clear(string directory)
    {
        if (!Directory.Exists(directory))
        {
            return;
        }
        foreach (var target in LinkedDirectories(directory))
        {
            RemoveInside(target);
        }
        RemoveInside(directory);
    }

    /// <summary>Directories outside that belong to this one: pg_wal and tablespaces.</summary>
    public static IReadOnlyList<string> LinkedDirectories(string directory) =>
        [.. Links(directory).Select(link => Directory.ResolveLinkTarget(link, returnFinalTarget: true)!.FullName)];

    private static IReadOnlyList<string> Links(string directory)
    {
        var tablespaces = Path.Combine(directory, "pg_tblspc");
        var entries = Directory.Exists(tablespaces) ? Directory.EnumerateFileSystemEntries(tablespaces) : [];
        return [.. entries.Append(Path.Combine(directory, "pg_wal"))
            .Where(link => Directory.Exists(link) && new FileInfo(link).LinkTarget is not null)];
    }

    /// <summary>
    /// The path may be a link itself: what it leads to is renamed, beside itself, and the link stays.
    /// </summary>
    private static string Real(string directory) =>
        Directory.ResolveLinkTarget(directory, returnFinalTarget: true)?.FullName ?? directory.TrimEnd('/');

    private static void RemoveEarlier(string directory)
    {
        foreach (var earlier in LinkedDirectories(directory).Prepend(Real(directory))
            .Select(path => path.TrimEnd('/') + Replaced).Where(Directory.Exists))
        {
            Directory.Delete(earlier, recursive: true);
        }
    }

    /// <summary>
    /// Whether a directory can be renamed: it is no mount point, and the directory above is ours to write.
    /// </summary>
    internal static bool CanRename(string directory)
    {
        const int mayWriteAndEnter = 3;
        var above = Path.GetDirectoryName(directory.TrimEnd('/'));
        return above is not null && Libc.access(above, mayWriteAndEnter) == 0
            && FileIdentity.Of(above)?.Device is { } device && device == FileIdentity.Of(directory)?.Device;
    }

    private static string Free(string name)
    {
        if (Directory.Exists(name))
        {
            Directory.Delete(name, recursive: true);
        }
        return name;
    }

    /// <summary>Whether the copy will fit beside what it replaces.</summary>
    private static bool HasRoomForAnother(string directory)
    {
        var size = LinkedDirectories(directory).Prepend(directory).Sum(SizeOf);
        return new DriveInfo(directory).AvailableFreeSpace > size + (size / 10);
    }

    private static long SizeOf(string directory) =>
        new DirectoryInfo(directory).EnumerateFiles("*", new EnumerationOptions
        {
            RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = true,
        }).Sum(file => file.Length);

    private static void RemoveInside(string directory)
    {
        foreach (var entry in new DirectoryInfo(directory).EnumerateFileSystemInfos()
            .Where(entry => entry.Name != "lost+found"))
        {
            if (entry is DirectoryInfo { LinkTarget: null } inner)
            {
                inner.Delete(recursive: true);
            }
            else
            {
                entry.Delete();
            }
        }
    }
}
