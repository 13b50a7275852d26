using System.Globalization;
using System.Text.RegularExpressions;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>A <c>recovery_target_time</c>, as far as it can be read without the server's time zone.</summary>
internal static partial class TargetTime
{
    /// <summary>Reads a time with an offset, as <c>2026-11-30 14:00:00.5+00</c>; null: it is another one.</summary>
    public static DateTimeOffset? Read(string? text) =>
        text is not null && WithOffset().Match(text.Trim()) is { Success: true } found
            && DateTimeOffset.TryParse(
                $"{found.Groups[1].Value}{found.Groups[2].Value}:{(found.Groups[3].Value is { Length: 2 } part ? part
                    : "00")}",
                CultureInfo.InvariantCulture, DateTimeStyles.None, out var moment)
            ? moment
            : null;

    [GeneratedRegex(@"^(\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*([+-]\d\d):?(\d\d)?$",
        RegexOptions.CultureInvariant)]
    private static partial Regex WithOffset();
}
