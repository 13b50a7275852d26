using System.Globalization;
using System.Text.RegularExpressions;
using Routing.Ha;

namespace Routing.Agent.Postgres.Files;

/// <summary>Reads how far pg_basebackup is, and measures how fast it goes.</summary>
internal sealed partial class CopyMeter(TimeProvider time)
{
    /// <summary>The rate is that of so many seconds: a copy that slows down is told soon.</summary>
    private static readonly TimeSpan s_window = TimeSpan.FromSeconds(10);

    private readonly Queue<(long At, long Bytes)> _seen = [];

    /// <summary>What a line tells; null: it tells something else.</summary>
    public CopyProgress? Read(string line)
    {
        if (Progress.Match(line) is not { Success: true } match
            || !TryKilobytes(match, "done", out var bytes) || !TryKilobytes(match, "total", out var total))
        {
            return null;
        }
        var now = time.GetTimestamp();
        while (_seen.TryPeek(out var oldest) && time.GetElapsedTime(oldest.At, now) > s_window)
        {
            _seen.Dequeue();
        }
        var rate = 0L;
        if (_seen.TryPeek(out var first)
            && time.GetElapsedTime(first.At, now) is var elapsed && elapsed > TimeSpan.Zero)
        {
            rate = (long)Math.Max(0, (bytes - first.Bytes) / elapsed.TotalSeconds);
        }
        _seen.Enqueue((now, bytes));
        return new CopyProgress(bytes, total, rate);
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
