using System.Globalization;
using Routing.Cluster;

namespace Routing.Cli.Backups;

/// <summary>What an operator wants to go back to, as it was typed.</summary>
internal static class RestoreMoment
{
    /// <summary>The target that a word names; null: it names none.</summary>
    /// <param name="text">A time, an LSN, <c>immediate</c>, or the name of a restore point.</param>
    /// <param name="kind">Says which of them it is; null: it is found out.</param>
    /// <param name="now">A time without an offset is local time here.</param>
    public static RestoreTarget? Read(string text, string? kind, TimeProvider now)
    {
        if (kind is "immediate" || (kind is null && text == "immediate"))
        {
            return new RestoreTarget("immediate", "");
        }
        if (kind is null or "lsn" && Lsn.TryParse(text, out var lsn))
        {
            return new RestoreTarget("lsn", lsn.ToString());
        }
        if (kind is null or "time" && TryTime(text, now, out var time))
        {
            return new RestoreTarget("time",
                time.ToUniversalTime().ToString("yyyy-MM-dd HH:mm:ss.ffffff+00", CultureInfo.InvariantCulture));
        }
        return kind is "name" && text.Length > 0 ? new RestoreTarget("name", text) : null;
    }

    /// <summary>The time that a target names.</summary>
    public static DateTimeOffset? TimeOf(RestoreTarget target) =>
        target.Kind == "time"
        && DateTimeOffset.TryParse(target.Value, CultureInfo.InvariantCulture, DateTimeStyles.None, out var time)
            ? time
            : null;

    private static bool TryTime(string text, TimeProvider now, out DateTimeOffset time)
    {
        // PostgreSQL writes an offset of whole hours without minutes.
        var whole = text.Length > 3 && text[^3] is '+' or '-' ? text + ":00" : text;
        if (!DateTimeOffset.TryParse(
            whole, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out time))
        {
            return false;
        }
        if (!HasOffset(whole))
        {
            var local = time.UtcDateTime;
            time = new DateTimeOffset(DateTime.SpecifyKind(local, DateTimeKind.Unspecified),
                now.LocalTimeZone.GetUtcOffset(DateTime.SpecifyKind(local, DateTimeKind.Unspecified)));
        }
        return true;
    }

    private static bool HasOffset(string text)
    {
        var clock = text.IndexOf(':', StringComparison.Ordinal);
        return text.EndsWith('Z') || (clock > 0 && text.AsSpan(clock).IndexOfAny('+', '-') > 0);
    }
}
