using System.Runtime.InteropServices;
using Routing.Agent.Native;

namespace Routing.Agent.Postgres.Files;

/// <summary>
/// Files whose presence says something about the data: they reach the disk before what they speak of is touched.
/// </summary>
internal static class DurableFile
{
    /// <summary>Replaces a file, whole or not at all.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static void Write(string path, string text)
    {
        WholeFile.Replace(path, text, flushes: true);
        FlushDirectory(Path.GetDirectoryName(path)!);
    }

    /// <summary>Makes what was created, renamed or removed in a directory last.</summary>
    /// <exception cref="IOException">The system refuses.</exception>
    public static void FlushDirectory(string directory)
    {
        var handle = Libc.open(directory, Libc.O_RDONLY | Libc.O_CLOEXEC | Libc.O_DIRECTORY, 0);
        if (handle < 0)
        {
            throw Libc.Failure($"opening {directory}", Marshal.GetLastPInvokeError());
        }
        var failed = Libc.fsync(handle) != 0;
        var error = Marshal.GetLastPInvokeError();
        _ = Libc.close(handle);
        if (failed)
        {
            throw Libc.Failure($"writing {directory} to the disk", error);
        }
    }
}
