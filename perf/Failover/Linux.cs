using System.Globalization;
using System.Runtime.InteropServices;

namespace Routing.Failover;

/// <summary>What the kernel tells about processes.</summary>
internal static partial class Linux
{
    public const int SigKill = 9, SigTerm = 15;

    /// <summary>Sends a signal; false when there is no such process.</summary>
    public static bool Signal(int pid, int signal) => kill(pid, signal) == 0;

    /// <summary>The process that started it, or its heir. "pid (name) state parent …"</summary>
    public static int ParentOf(int pid) =>
        int.Parse(File.ReadAllText($"/proc/{pid}/stat").Split(") ")[^1].Split(' ')[1], CultureInfo.InvariantCulture);

    /// <summary>All processes one of whose arguments, or whose working directory, lies below a directory.</summary>
    public static IEnumerable<(int Pid, string[] Arguments)> ProcessesBelow(string directory)
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var pid)
                || pid == Environment.ProcessId)
            {
                continue;
            }
            string[] arguments;
            string? current;
            try
            {
                arguments = File.ReadAllText($"{folder}/cmdline").TrimEnd('\0').Split('\0');
                current = new FileInfo($"{folder}/cwd").LinkTarget;
            }
            catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
            {
                continue;   // ended meanwhile, or of another user
            }
            if (arguments.Append(current)
                .Any(text => text is not null && text.StartsWith(directory, StringComparison.Ordinal)))
            {
                yield return (pid, arguments);
            }
        }
    }

    /// <summary>Resident and proportional memory of a process, in KiB.</summary>
    public static (long Resident, long Proportional) Memory(int pid)
    {
        var lines = File.ReadAllLines($"/proc/{pid}/smaps_rollup");
        return (Field("Rss:"), Field("Pss:"));

        long Field(string name) => long.Parse(
            lines.First(line => line.StartsWith(name, StringComparison.Ordinal))
                .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
            CultureInfo.InvariantCulture);
    }

    [DllImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int kill(int pid, int signal);
}
