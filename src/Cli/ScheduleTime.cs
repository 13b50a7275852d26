using System.Globalization;

namespace Routing.Cli;

/// <summary>A moment as operators enter it.</summary>
internal static class ScheduleTime
{
    /// <summary>An example for a question: an hour from now.</summary>
    public static string Example(TimeProvider time) =>
        time.GetLocalNow().AddHours(1).ToString("yyyy-MM-dd'T'HH:mm", CultureInfo.InvariantCulture);

    /// <summary>Reads what an operator entered.</summary>
    /// <returns>Null for now.</returns>
    /// <exception cref="CtlException">It is no moment.</exception>
    public static DateTimeOffset? Parse(string? text, TimeProvider time)
    {
        if (text is null or "" or "now")
        {
            return null;
        }
        return TryParse(text, time.LocalTimeZone, out var at)
            ? at
            : throw new CtlException(
                $"Unable to parse scheduled timestamp ({text}). It should be in an unambiguous format (e.g. ISO 8601)",
                "For example 2026-09-01T03:00 (local time) or 2026-09-01T03:00+02:00.");
    }

    /// <summary>Reads a date and time; without an offset it is local.</summary>
    public static bool TryParse(string text, TimeZoneInfo local, out DateTimeOffset time)
    {
        time = default;
        if (!DateTime.TryParse(text, CultureInfo.InvariantCulture,
            DateTimeStyles.RoundtripKind | DateTimeStyles.NoCurrentDateDefault, out var read)
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
