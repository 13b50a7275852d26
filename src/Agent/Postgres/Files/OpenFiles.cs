using System.Globalization;

namespace Routing.Agent.Postgres.Files;

/// <summary>Which process works with the files of a directory, as far as the system lets us see.</summary>
internal static class OpenFiles
{
    /// <summary>A process that has a file inside open; null when none is seen.</summary>
    public static int? FindUser(string directory)
    {
        var inside =
            (Directory.ResolveLinkTarget(directory, returnFinalTarget: true)?.FullName
                ?? Path.GetFullPath(directory)).TrimEnd('/') + '/';
        foreach (var process in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(process), NumberStyles.None, CultureInfo.InvariantCulture, out var pid)
                && pid != Environment.ProcessId && HasOpen(process, inside))
            {
                return pid;
            }
        }
        return null;
    }

    private static bool HasOpen(string process, string inside)
    {
        try
        {
            return Directory.EnumerateFileSystemEntries(Path.Combine(process, "fd")).Any(
                link => File.ResolveLinkTarget(link, returnFinalTarget: false)?.FullName.StartsWith(
                    inside, StringComparison.Ordinal) == true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;   // it has ended, or belongs to another user
        }
    }
}
