using Routing.Ha;

namespace Routing.Agent.Postgres;

/// <summary>What stands in the data directory.</summary>
internal sealed record DataDirectoryState(DataDirectory Kind, string? Problem, PgControl? Control)
{
    private const string UnfinishedSuffix = ".unfinished";

    /// <summary>Looks.</summary>
    /// <param name="directory">The data directory.</param>
    /// <param name="inUse">A server runs on it: then it is whole, whatever stands beside it.</param>
    public static DataDirectoryState Look(string directory, bool inUse = false)
    {
        try
        {
            if ((!inUse && IsUnfinished(directory)) || Directory.EnumerateFileSystemEntries(directory).All(IsNothing))
            {
                return new(DataDirectory.Empty, null, null);
            }
            if (!File.Exists(Path.Combine(directory, "PG_VERSION")))
            {
                return new(DataDirectory.Inaccessible, $"{directory} is neither empty nor a PostgreSQL data directory", null);
            }
            return new(DataDirectory.Ready, null, PgControl.Read(directory));
        }
        catch (DirectoryNotFoundException)
        {
            return new(DataDirectory.Empty, null, null);
        }
        catch (InvalidDataException error)
        {
            return new(DataDirectory.Ready, error.Message, null);
        }
        catch (FileNotFoundException error)
        {
            return new(DataDirectory.Inaccessible, $"{directory} is an unfinished copy: {error.Message.TrimEnd('.')}", null);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return new(DataDirectory.Inaccessible, error.Message.TrimEnd('.'), null);
        }
    }

    /// <summary>Remembers beside the directory that its filling has begun: what an agent that dies meanwhile leaves is nothing.</summary>
    public static void MarkUnfinished(string directory)
    {
        try
        {
            File.WriteAllText(Marker(directory), "The agent is filling the directory of this name. Until then it counts as empty.\n");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The directory above is not ours: an interrupted copy will be seen by its missing pg_control instead.
        }
    }

    /// <summary>The directory is whole, or gone.</summary>
    public static void MarkFinished(string directory) => File.Delete(Marker(directory));

    /// <summary>Removes everything inside, and what its links lead to (WAL, tablespaces). The directory itself stays.</summary>
    public static void Clear(string directory)
    {
        if (!Directory.Exists(directory))
        {
            return;
        }
        foreach (var target in LinkedDirectories(directory).Where(Directory.Exists))
        {
            RemoveInside(target);
        }
        RemoveInside(directory);
    }

    /// <summary>Directories outside that belong to this one: pg_wal and tablespaces.</summary>
    public static IEnumerable<string> LinkedDirectories(string directory)
    {
        var tablespaces = Path.Combine(directory, "pg_tblspc");
        var links = Directory.Exists(tablespaces) ? Directory.EnumerateFileSystemEntries(tablespaces) : [];
        return links.Append(Path.Combine(directory, "pg_wal"))
            .Where(Directory.Exists)
            .Select(link => Directory.ResolveLinkTarget(link, returnFinalTarget: true)?.FullName)
            .OfType<string>()
            .ToList();
    }

    private static void RemoveInside(string directory)
    {
        foreach (var entry in new DirectoryInfo(directory).EnumerateFileSystemInfos().Where(entry => entry.Name != "lost+found"))
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

    private static bool IsUnfinished(string directory) => File.Exists(Marker(directory));

    private static bool IsNothing(string entry) => Path.GetFileName(entry) is var name && (name.StartsWith('.') || name == "lost+found");

    private static string Marker(string directory) => directory.TrimEnd('/') + UnfinishedSuffix;
}
