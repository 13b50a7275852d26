using System.Globalization;

namespace Routing.Agent.Backups;

/// <summary>Names of segments of WAL: timeline, and number in two parts, each of eight hexadecimal digits.</summary>
internal static class WalSegments
{
    private const int NameLength = 24;
    private const int HashLength = 40;

    /// <summary>It names a whole segment: not a partial one, no history of a timeline, no mark of a backup.</summary>
    public static bool IsName(string text) => text.Length == NameLength && text.All(char.IsAsciiHexDigitUpper);

    /// <summary>The segments in what <c>pgbackrest repo-ls --recurse</c> prints of an archive.</summary>
    public static IEnumerable<string> InListing(string text) =>
        from line in text.Split('\n')
        let file = line[(line.LastIndexOf('/') + 1)..]
        where file.Length > NameLength + HashLength && file[NameLength] == '-' && IsName(file[..NameLength])
        select file[..NameLength];

    /// <summary>The first segment that is missing; null: there is no gap.</summary>
    /// <param name="segments">Those that there are, in any order.</param>
    /// <param name="first">Where to begin: the first one that a backup needs.</param>
    /// <param name="segmentBytes">The size of each.</param>
    public static string? FirstGap(IEnumerable<string> segments, string first, long segmentBytes)
    {
        var inLog = Math.Max(1, (1L << 32) / segmentBytes);
        var (timeline, next) = (Timeline(first), Number(first, inLog));
        foreach (var segment in segments.Where(one => string.CompareOrdinal(one, first) >= 0).Distinct()
            .Order(StringComparer.Ordinal))
        {
            var number = Number(segment, inLog);
            // A timeline begins within a segment of the one that it left, which may be there too.
            if (Timeline(segment) == timeline ? number != next : number > next)
            {
                return Name(timeline, next, inLog);
            }
            (timeline, next) = (Timeline(segment), number + 1);
        }
        return next == Number(first, inLog) ? first : null;
    }

    private static uint Timeline(string name) => Hex(name.AsSpan(0, 8));

    private static long Number(string name, long inLog) =>
        (Hex(name.AsSpan(8, 8)) * inLog) + Hex(name.AsSpan(16, 8));

    private static string Name(uint timeline, long number, long inLog) => string.Create(
        CultureInfo.InvariantCulture, $"{timeline:X8}{number / inLog:X8}{number % inLog:X8}");

    private static uint Hex(ReadOnlySpan<char> digits) =>
        uint.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
