using System.Globalization;
using Routing.Agent.Native;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Files;

/// <summary>The slots in a data directory that no server uses: <c>pg_replslot</c>.</summary>
internal sealed class SlotDirectory(string dataDirectory)
{
    private const UnixFileMode GroupReads =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;

    private string Root => Path.Combine(dataDirectory, "pg_replslot");

    /// <summary>
    /// Puts a slot there, in place of one of the same name. As the server itself does it: whole, or not at all.
    /// </summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The same.</exception>
    public void Write(string name, byte[] state)
    {
        var target = Path.Combine(Root, name);
        var next = target + ".tmp";   // the server removes what has this ending when it starts
        if (Directory.Exists(next))
        {
            Directory.Delete(next, recursive: true);
        }
        var mode = File.GetUnixFileMode(dataDirectory);
        Directory.CreateDirectory(next, mode);
        WholeFile.Replace(Path.Combine(next, "state"), state,
            mode.HasFlag(UnixFileMode.GroupRead) ? GroupReads : WholeFile.OwnerOnly, flushes: true);
        DurableFile.FlushDirectory(next);
        if (Directory.Exists(target))
        {
            Directory.Delete(target, recursive: true);
        }
        Directory.Move(next, target);
        DurableFile.FlushDirectory(Root);
    }

    /// <summary>Takes a slot away again.</summary>
    /// <exception cref="IOException">It cannot be removed.</exception>
    public void Remove(string name)
    {
        var target = Path.Combine(Root, name);
        if (Directory.Exists(target))
        {
            Directory.Delete(target, recursive: true);
            DurableFile.FlushDirectory(Root);
        }
    }

    /// <summary>Whether the WAL file that holds this position is there, whatever its timeline.</summary>
    public bool HasWal(Lsn position, uint segmentSize)
    {
        var segment = position.Value / segmentSize;
        var perId = 0x1_0000_0000UL / segmentSize;
        var name = string.Create(CultureInfo.InvariantCulture, $"{segment / perId:X8}{segment % perId:X8}");
        return Directory.EnumerateFiles(Path.Combine(dataDirectory, "pg_wal"), "*" + name).Any();
    }
}
