using System.Buffers;
using System.Globalization;

namespace Routing.Agent.Config;

/// <summary>Sizes as PostgreSQL writes them: a number with B, kB, MB, GB or TB, or without a unit in the parameter's own.</summary>
internal static class MemorySize
{
    public const long Megabyte = 1024 * 1024;

    private static readonly SearchValues<char> s_numberCharacters = SearchValues.Create("0123456789.+-");

    /// <summary>Reads a size.</summary>
    /// <param name="text">For example <c>128MB</c>.</param>
    /// <param name="baseUnit">The bytes that a bare number counts.</param>
    /// <param name="bytes">The size.</param>
    public static bool TryParse(string text, long baseUnit, out long bytes)
    {
        bytes = 0;
        text = text.Trim();
        var length = text.AsSpan().IndexOfAnyExcept(s_numberCharacters);
        var unit = length < 0 ? "" : text[length..].Trim();
        var factor = unit switch
        {
            "" => baseUnit,
            "B" => 1L,
            "kB" => 1024L,
            "MB" => Megabyte,
            "GB" => 1024 * Megabyte,
            "TB" => 1024 * 1024 * Megabyte,
            _ => 0L,
        };
        if (factor == 0
            || !decimal.TryParse(length < 0 ? text : text[..length], NumberStyles.AllowDecimalPoint | NumberStyles.AllowLeadingSign,
                CultureInfo.InvariantCulture, out var number)
            || Math.Abs(number) > long.MaxValue / factor)
        {
            return false;
        }
        bytes = (long)Math.Round(number * factor, MidpointRounding.AwayFromZero);
        return true;
    }
}
