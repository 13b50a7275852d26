using System.Text;

namespace Routing.Agent.Native;

/// <summary>Replaces files whole: a reader sees what was there, or all of what is new.</summary>
internal static class WholeFile
{
    /// <summary>The mode of files that only the agent's own user may read.</summary>
    public const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Writes beside the file, and renames.</summary>
    /// <param name="path">The file.</param>
    /// <param name="content">Its new content.</param>
    /// <param name="mode">Its new mode.</param>
    /// <param name="flushes">Whether the content reaches the disk before the name does.</param>
    /// <exception cref="IOException">It cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The same.</exception>
    public static void Replace(
        string path, ReadOnlySpan<byte> content, UnixFileMode mode = OwnerOnly, bool flushes = false)
    {
        var next = path + ".new";
        File.Delete(next);   // what an earlier attempt left may have another mode
        using (var stream = new FileStream(next, new FileStreamOptions
        {
            Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = mode,
        }))
        {
            stream.Write(content);
            if (flushes)
            {
                stream.Flush(flushToDisk: true);
            }
        }
        File.Move(next, path, overwrite: true);
    }

    /// <inheritdoc cref="Replace(string, ReadOnlySpan{byte}, UnixFileMode, bool)"/>
    public static void Replace(
        string path, string content, UnixFileMode mode = OwnerOnly, bool flushes = false) =>
        Replace(path, Encoding.UTF8.GetBytes(content), mode, flushes);
}
