using System.Globalization;

namespace Routing.Cluster.Text;

/// <summary>A moment as the status document and the member key show it.</summary>
public static class PostgresTime
{
    /// <summary>For example <c>2026-07-20 06:00:01.221000+00:00</c>; without a fraction when there is none.</summary>
    public static string Format(DateTimeOffset time) => time.ToString(
        time.Ticks % TimeSpan.TicksPerSecond < TimeSpan.TicksPerMicrosecond
            ? "yyyy-MM-dd HH:mm:sszzz"
            : "yyyy-MM-dd HH:mm:ss.ffffffzzz",
        CultureInfo.InvariantCulture);
}
