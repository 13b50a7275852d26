using System.Globalization;

namespace Routing.Agent.Native;

/// <summary>The pages of the program file that this process has mapped.</summary>
internal static class ProgramPages
{
    private const string Maps = "/proc/self/maps";

    /// <summary>
    /// Lets go of the program's code, of which a start needs far more than the hours after it. What runs on comes back
    /// from the file's cache at its next use; the rest is the kernel's to give to others.
    /// </summary>
    /// <returns>The bytes of code that were let go of; 0 when the kernel refused.</returns>
    public static long Forget()
    {
        var program = Environment.ProcessPath;
        var bytes = 0L;
        foreach (var line in File.ReadLines(Maps))
        {
            // 00405000-00d21000 r-xp 00005000 fe:00 11663446    /path
            if (program is null || !line.EndsWith(' ' + program, StringComparison.Ordinal)
                || line.Split(' ', 3) is not [var range, "r-xp", _]
                || range.Split('-') is not [var from, var to])
            {
                continue;
            }
            var start = nint.Parse(from, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            var length = nint.Parse(to, NumberStyles.HexNumber, CultureInfo.InvariantCulture) - start;
            // Code is never written to: dropping a page of it loses nothing.
            if (Libc.madvise(start, (nuint)length, Libc.MADV_DONTNEED) == 0)
            {
                bytes += length;
            }
        }
        return bytes;
    }
}
