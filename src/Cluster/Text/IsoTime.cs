using System.Globalization;

namespace Routing.Cluster.Text;

/// <summary>Times in keys, requests and tables: ISO-8601 with a zone.</summary>
public static class IsoTime
{
    private static readonly string[] s_formats =
    [
        .. from date in (string[])["yyyy-MM-ddTHH:mm", "yyyy-MM-dd HH:mm"]
           from seconds in (string[])["", ":ss", ":ss.FFFFFFF"]
           from zone in (string[])["K", "zz"]
           select date + seconds + zone,
        "yyyy-MM-dd",
    ];

    /// <summary>As Patroni prints it: 2026-09-01T03:00:00+00:00, with microseconds only when there are any.</summary>
    public static string Format(DateTimeOffset time) => time.ToString(
        time.Ticks % TimeSpan.TicksPerSecond < TimeSpan.TicksPerMicrosecond
            ? "yyyy-MM-ddTHH:mm:sszzz"
            : "yyyy-MM-ddTHH:mm:ss.ffffffzzz",
        CultureInfo.InvariantCulture);

    /// <summary>In UTC, to the millisecond: 2026-09-01T03:00:00.123Z.</summary>
    public static string FormatUtc(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);

    /// <summary>Reads date and time, parted by 'T' or a blank; without a zone it is UTC.</summary>
    public static bool TryParse(string? text, out DateTimeOffset time) => DateTimeOffset.TryParseExact(
        text?.Trim(), s_formats, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out time);
}
