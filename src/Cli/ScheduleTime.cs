using System.Globalization;

namespace Routing.Cli;

/// <summary>A moment as operators enter it.</summary>
internal static class ScheduleTime
{
    /// <summary>Reads a date and time; without an offset it is local.</summary>
    public static bool TryParse(string text, TimeZoneInfo local, out DateTimeOffset time)
    {
        time = default;
        if (!DateTime.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind | DateTimeStyles.NoCurrentDateDefault, out var read)
            || read.Year == 1)
        {
            return false;   // a time of day alone is ambiguous: of which day?
        }
        if (read.Kind != DateTimeKind.Unspecified)
        {
            return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.None, out time);
        }
        if (local.IsInvalidTime(read))
        {
            return false;   // skipped when the clocks go forward
        }
        time = new DateTimeOffset(read, local.GetUtcOffset(read));
        return true;
    }
}
