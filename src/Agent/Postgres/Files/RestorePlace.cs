namespace Routing.Agent.Postgres.Files;

/// <summary>Where a restore of the living cluster puts its data, and those that they replace.</summary>
/// <remarks>
/// The repository is read into a directory beside the data directory. When it is whole it carries a mark; then two
/// renames make it the data directory, and the former one is kept under a name of the restore. Whatever ends this in
/// between leaves both whole, and <see cref="Find"/> tells so.
/// </remarks>
internal sealed class RestorePlace(string dataDirectory, string id)
{
    private const string MarkName = "routing.restored";
    private const string StagingSuffix = ".restoring";
    private const string FailedSuffix = ".restore-failed";
    private const string AsideInfix = ".before-";

    private readonly string _data = dataDirectory.TrimEnd('/');

    /// <summary>The directory that the repository is read into.</summary>
    public string Staging => _data + StagingSuffix;

    /// <summary>The data that were replaced.</summary>
    public string Aside => _data + AsideInfix + id;

    private string Failed => _data + FailedSuffix;

    /// <summary>The data directory holds the restored data, and they were not promoted yet.</summary>
    public bool IsInPlace => MarkIn(_data) == id;

    /// <summary>The repository was read whole.</summary>
    public bool IsStaged => MarkIn(Staging) == id;

    /// <summary>
    /// The restore whose data stand in the data directory and were not promoted yet, or whose renames were
    /// interrupted. Null: there is none.
    /// </summary>
    /// <remarks>PostgreSQL removes <c>recovery.signal</c> when promoted; the mark counts only beside it.</remarks>
    public static string? Find(string dataDirectory)
    {
        var data = dataDirectory.TrimEnd('/');
        if (MarkIn(data) is { } present)
        {
            return present;
        }
        if (IsDatabase(data))
        {
            return null;
        }
        foreach (var place in new[] { data + StagingSuffix, data + FailedSuffix })
        {
            if (MarkIn(place) is { } moved && IsDatabase(data + AsideInfix + moved))
            {
                return moved;
            }
        }
        return null;
    }

    /// <summary>Why the data cannot be replaced here; null: they can.</summary>
    public string? Problem()
    {
        if (Directory.Exists(_data) && !DataRemoval.CanRename(_data))
        {
            return $"{_data} cannot be renamed: it is a mount point, or this user may not write to its parent";
        }
        return Directory.Exists(_data) && DataRemoval.LinkedDirectories(_data) is [var linked, ..]
            ? $"{linked} belongs to the data and stands elsewhere (a tablespace, or a separate pg_wal): "
                + "this cannot be restored in place"
            : null;
    }

    /// <summary>An empty directory for the repository to be read into.</summary>
    public void Prepare()
    {
        if (Directory.Exists(Staging))
        {
            Directory.Delete(Staging, recursive: true);
        }
        Directory.CreateDirectory(Staging, DataFilling.DataDirectoryMode);
    }

    /// <summary>What was read is of no use.</summary>
    public void Drop()
    {
        if (Directory.Exists(Staging) && !IsStaged)
        {
            Directory.Delete(Staging, recursive: true);
        }
    }

    /// <summary>What was read is whole: its next start is a recovery.</summary>
    public void MarkStaged()
    {
        File.Delete(Path.Combine(Staging, "standby.signal"));
        DurableFile.Write(Path.Combine(Staging, "recovery.signal"), "");
        DurableFile.Write(Path.Combine(Staging, MarkName), id + "\n");
    }

    /// <summary>The restored data take the place of the others, which are kept.</summary>
    public void Swap()
    {
        if (Directory.Exists(_data))
        {
            Directory.Move(_data, IsDatabase(_data) ? Aside : Free(Failed));
        }
        Directory.Move(Staging, _data);
        Flush();
    }

    /// <summary>The data that were set aside come back; the restored ones are kept beside them.</summary>
    public void PutBack()
    {
        if (Directory.Exists(_data))
        {
            Directory.Move(_data, Free(Failed));
        }
        Directory.Move(Aside, _data);
        Flush();
        if (Directory.Exists(Staging))
        {
            Directory.Delete(Staging, recursive: true);
        }
    }

    /// <summary>The data were promoted: they are those of the cluster.</summary>
    public static void End(string dataDirectory) => File.Delete(Path.Combine(dataDirectory, MarkName));

    private void Flush() => DurableFile.FlushDirectory(Path.GetDirectoryName(_data)!);

    private static string Free(string directory)
    {
        if (Directory.Exists(directory))
        {
            Directory.Delete(directory, recursive: true);
        }
        return directory;
    }

    private static bool IsDatabase(string directory) => File.Exists(Path.Combine(directory, "PG_VERSION"));

    private static string? MarkIn(string directory)
    {
        try
        {
            return File.Exists(Path.Combine(directory, "recovery.signal"))
                ? File.ReadAllText(Path.Combine(directory, MarkName)).Trim() is { Length: > 0 } id ? id : null
                : null;
        }
        catch (Exception none) when (none is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }
}
