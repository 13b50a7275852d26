using System.Globalization;
using System.Text.RegularExpressions;
using Routing.Ha;

namespace Routing.Agent.Postgres.Files;

/// <summary>Reads how far pg_basebackup is, and measures how fast it goes.</summary>
internal sealed partial class CopyMeter(TimeProvider time)
{
    private readonly CopyRate _rate = new(time);

    /// <summary>What a line tells; null: it tells something else.</summary>
    public CopyProgress? Read(string line)
    {
        if (Progress.Match(line) is not { Success: true } match
            || !TryKilobytes(match, "done", out var bytes) || !TryKilobytes(match, "total", out var total))
        {
            return null;
        }
        return new CopyProgress(bytes, total, _rate.After(bytes));
    }

    private static bool TryKilobytes(Match match, string group, out long bytes)
    {
        var isNumber = long.TryParse(
            match.Groups[group].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var kilobytes);
        bytes = kilobytes * 1024;
        return isNumber;
    }

    [GeneratedRegex(@"^\s*(?<done>\d{1,15})/(?<total>\d{1,15}) kB \(\d+%\)")]
    private static partial Regex Progress { get; }
}
