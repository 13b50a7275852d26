using System.Globalization;
using Routing.Agent.Native;

namespace Routing.Agent.Postgres.Files;

/// <summary>
/// What tells a data directory that is being filled from one that is whole, and from one that another program filled.
/// </summary>
/// <remarks>
/// initdb and pg_basebackup fill a directory inside the data directory, whose content is moved up when it is whole,
/// PG_VERSION last: what an interrupted one leaves cannot be taken for a database, and a database that an operator
/// restores meanwhile cannot be taken for a leftover. Scripts get the data directory itself; while they run a marker
/// stands beside it, which names the directory by its inode. A new cluster carries a marker inside until its roles and
/// scripts are done.
/// </remarks>
internal sealed class DataFilling(string directory)
{
    /// <summary>Where initdb and pg_basebackup write to.</summary>
    private const string StagingName = ".routing-filling";

    /// <summary>Where replaced data stand until they are put beside the data directory.</summary>
    private const string ReplacedName = ".routing-replaced";

    /// <summary>Holds the system identifier of a cluster whose bootstrap has not ended.</summary>
    private const string HalfMadeName = "routing.bootstrapping";

    private const string AnySystem = "any";

    /// <summary>The directory that is filled.</summary>
    public string Staging => Path.Combine(directory, StagingName);

    /// <summary>The marker of a script's filling.</summary>
    public string Marker => directory.TrimEnd('/') + ".unfinished";

    private string HalfMade => Path.Combine(directory, HalfMadeName);

    /// <summary>Something of ours fills the directory, or did so until it was interrupted.</summary>
    public bool IsUnfinished => (Directory.Exists(Staging) && !HoldsData) || IsMarked;

    /// <summary>Nothing stands in it but what a file system or ours puts there.</summary>
    /// <exception cref="DirectoryNotFoundException">There is none.</exception>
    public static bool IsEmpty(string directory) => Directory.EnumerateFileSystemEntries(directory).All(IsNothing);

    /// <summary>Whether this is the cluster whose bootstrap was begun here and has not ended.</summary>
    public bool IsHalfMade(string systemId)
    {
        try
        {
            return File.ReadAllText(HalfMade).Trim() is var made && (made == systemId || made == AnySystem);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return false;
        }
    }

    /// <summary>A bootstrap has made the database in a directory and is not done with it.</summary>
    /// <param name="inside">The data directory, or the one that is about to be moved up.</param>
    public static void MarkHalfMade(string inside) =>
        DurableFile.Write(Path.Combine(inside, HalfMadeName), PgControl.Read(inside).File.SystemId);

    /// <summary>What a failed bootstrap left here, whatever it is, is no database.</summary>
    public void MarkUseless() => DurableFile.Write(HalfMade, AnySystem);

    /// <summary>The bootstrap is done.</summary>
    public void MarkWhole()
    {
        File.Delete(HalfMade);
        DurableFile.FlushDirectory(directory);
        MarkFinished();
    }

    /// <summary>A script is about to fill the directory.</summary>
    /// <returns>False when the marker cannot be written: the directory above belongs to another user.</returns>
    public bool TryMarkUnfinished()
    {
        try
        {
            Directory.CreateDirectory(directory, DataDirectoryMode);
            DurableFile.Write(Marker, Inode.ToString(CultureInfo.InvariantCulture) + "\n");
            return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>The directory is whole, or empty.</summary>
    public void MarkFinished()
    {
        if (File.Exists(Marker))
        {
            File.Delete(Marker);
        }
        if (HoldsData && Directory.Exists(Staging))
        {
            // A person has restored a database over what was left. Links in it may lead to tablespaces that are in use
            // now: they are not followed.
            Directory.Delete(Staging, recursive: true);
        }
    }

    /// <summary>An empty place for initdb or pg_basebackup.</summary>
    public void Prepare()
    {
        Directory.CreateDirectory(directory, DataDirectoryMode);
        Drop();
    }

    /// <summary>
    /// The content of the filled directory takes the place of the data that stood there. Those are kept beside the data
    /// directory, or removed where nothing can be put there. Whatever ends this before its time leaves an empty place,
    /// by what <see cref="IsUnfinished"/> says.
    /// </summary>
    /// <returns>Where the old data are, or that they were removed; null: there were none.</returns>
    /// <exception cref="IOException">Something cannot be moved.</exception>
    public string? Replace()
    {
        if (!HoldsData)
        {
            MoveUp();
            return null;
        }
        var old = Path.Combine(directory, ReplacedName);
        if (Directory.Exists(old))
        {
            Directory.Delete(old, recursive: true);
        }
        Directory.CreateDirectory(old, DataDirectoryMode);
        // Without PG_VERSION this is no database any more, and what is half moved cannot be taken for one.
        File.Move(Path.Combine(directory, "PG_VERSION"), Path.Combine(old, "PG_VERSION"));
        DurableFile.FlushDirectory(directory);
        var entries = new DirectoryInfo(directory).EnumerateFileSystemInfos();
        foreach (var entry in entries.Where(entry => !IsNothing(entry.FullName)).ToList())
        {
            Directory.Move(entry.FullName, Path.Combine(old, entry.Name));
        }
        MoveUp();
        return DataRemoval.PutBeside(old, directory);
    }

    /// <summary>The content of the filled directory becomes that of the data directory, PG_VERSION last.</summary>
    /// <exception cref="IOException">It cannot be moved.</exception>
    public void MoveUp()
    {
        var mode = File.GetUnixFileMode(Staging);
        var last = new[] { "global", "PG_VERSION" };
        var entries =
            new DirectoryInfo(Staging).EnumerateFileSystemInfos().Select(entry => entry.Name).Except(last).ToList();
        foreach (var name in entries)
        {
            Move(name);
        }
        Move(last[0]);
        DurableFile.FlushDirectory(directory);
        Move(last[1]);
        Directory.Delete(Staging);
        if (File.GetUnixFileMode(directory) != mode)
        {
            File.SetUnixFileMode(directory, mode);
        }
        DurableFile.FlushDirectory(directory);
        MarkFinished();

        void Move(string name)
        {
            var (from, to) = (Path.Combine(Staging, name), Path.Combine(directory, name));
            if (Directory.Exists(from))
            {
                Directory.Move(from, to);   // a link to a directory, such as pg_wal, moves as a link
            }
            else
            {
                File.Move(from, to, overwrite: true);
            }
        }
    }

    /// <summary>Removes what an interrupted filling left, and what its links lead to.</summary>
    public void Drop()
    {
        if (Directory.Exists(Staging))
        {
            DataRemoval.Clear(Staging);
            Directory.Delete(Staging);
        }
    }

    internal const UnixFileMode DataDirectoryMode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>
    /// The marker stands, and speaks of this directory: one that was made anew has another inode. Old markers name
    /// none.
    /// </summary>
    private bool IsMarked
    {
        get
        {
            try
            {
                return !ulong.TryParse(File.ReadAllText(Marker).Trim(), NumberStyles.None, CultureInfo.InvariantCulture,
                    out var inode)
                    || inode == Inode;
            }
            catch (FileNotFoundException)
            {
                return false;
            }
        }
    }

    private bool HoldsData => File.Exists(Path.Combine(directory, "PG_VERSION"));

    private ulong Inode =>
        FileIdentity.Of(directory)?.Inode ?? throw new IOException($"The directory {directory} cannot be read.");

    private static bool IsNothing(string entry) =>
        Path.GetFileName(entry) is var name && (name.StartsWith('.') || name == "lost+found");
}
