using System.Globalization;
using System.Runtime.InteropServices;

namespace Routing.Demo;

/// <summary>
/// The processes that work in a folder: how the demonstration finds what it started, and nothing else.
/// </summary>
/// <remarks>
/// An agent's working folder is its node's; its fence inherits that, and PostgreSQL works in its data directory.
/// </remarks>
internal static class ProcessFolder
{
    public const int Interrupt = 2, Quit = 3, Kill = 9, Terminate = 15, Continue = 18, Stop = 19;

    /// <summary>
    /// The ids of the processes whose working folder lies in <paramref name="folder"/>, without our own.
    /// </summary>
    public static List<int> Processes(string folder)
    {
        var found = new List<int>();
        foreach (var entry in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(entry), NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                && id != Environment.ProcessId && WorksIn(entry, folder))
            {
                found.Add(id);
            }
        }
        return found;
    }

    /// <summary>Signals them all.</summary>
    public static void Signal(string folder, int signal)
    {
        foreach (var id in Processes(folder))
        {
            Signal(id, signal);
        }
    }

    /// <summary>Signals one; that it is gone already is fine.</summary>
    public static void Signal(int id, int signal)
    {
        const int noSuchProcess = 3;
        if (kill(id, signal) != 0 && Marshal.GetLastPInvokeError() is var error && error != noSuchProcess)
        {
            throw new InvalidOperationException(
                string.Create(CultureInfo.InvariantCulture, $"Signal {signal} to process {id}: error {error}."));
        }
    }

    /// <summary>As if the machine died: all stand still at the same moment, and then are gone.</summary>
    public static void KillAtOnce(string folder)
    {
        Signal(folder, Stop);
        Signal(folder, Kill);
    }

    private static bool WorksIn(string process, string folder)
    {
        try
        {
            return File.ResolveLinkTarget($"{process}/cwd", returnFinalTarget: false)?.FullName is { } path
                && (path == folder || path.StartsWith(folder + "/", StringComparison.Ordinal));
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return false;   // ended meanwhile, or another user's
        }
    }

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int kill(int pid, int signal);
}
