using System.Globalization;

namespace Routing.Cluster.Text;

/// <summary>
/// Reads sizes and times as PostgreSQL writes them in its configuration: <c>16MB</c>, <c>1.5GB</c>, <c>30min</c>.
/// </summary>
/// <remarks>Units are case-sensitive; see the PostgreSQL manual, "Parameter Names and Values".</remarks>
public static class PostgresUnits
{
    /// <summary>Bytes from a plain number or one with B, kB, MB, GB or TB, rounded to the nearest byte.</summary>
    public static bool TryParseBytes(string? text, out long bytes) => TryParse(
        text,
        unit => unit switch
        {
            "" or "B" => 1,
            "kB" => 1024,
            "MB" => 1024 * 1024,
            "GB" => 1024 * 1024 * 1024,
            "TB" => 1024.0 * 1024 * 1024 * 1024,
            _ => null,
        },
        out bytes);

    /// <summary>
    /// Seconds from a plain number or one with us, ms, s, min, h or d, rounded to the nearest second.
    /// </summary>
    public static bool TryParseSeconds(string? text, out long seconds) => TryParse(
        text,
        unit => unit switch
        {
            "us" => 1e-6,
            "ms" => 1e-3,
            "" or "s" => 1,
            "min" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => null,
        },
        out seconds);

    private static bool TryParse(string? text, Func<string, double?> factorOf, out long result)
    {
        result = 0;
        var trimmed = (text ?? "").AsSpan().Trim();
        var digits = trimmed.TrimEnd("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (factorOf(trimmed[digits.Length..].ToString()) is not { } factor)
        {
            return false;
        }
        digits = digits.TrimEnd();
        if (factor == 1
            && long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out result))
        {
            return true;   // exact, also beyond the 53 bits of a double
        }
        if (!double.TryParse(
                digits, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture,
                out var number))
        {
            return false;
        }
        var scaled = Math.Round(number * factor);
        if (!(Math.Abs(scaled) < long.MaxValue))
        {
            return false;
        }
        result = (long)scaled;
        return true;
    }
}
