using System.Globalization;
using System.Text.Json;

namespace Routing.Cluster.Text;

/// <summary>Reads scalars as Patroni writes them: numbers as text, on/off for booleans.</summary>
public static class Scalars
{
    /// <summary>on, off, true, false, yes, no, 1, 0 in any case, as JSON literals, numbers or strings.</summary>
    public static bool TryBoolean(JsonElement value, out bool result)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.True:
                result = true;
                return true;
            case JsonValueKind.False:
                result = false;
                return true;
            case JsonValueKind.String:
                return TryBoolean(value.GetString(), out result);
            case JsonValueKind.Number when value.TryGetInt64(out var number) && number is 0 or 1:
                result = number == 1;
                return true;
            default:
                result = false;
                return false;
        }
    }

    /// <summary>on, off, true, false, yes, no, 1, 0 in any case.</summary>
    public static bool TryBoolean(string? text, out bool result)
    {
        var (known, value) = text?.Trim().ToUpperInvariant() switch
        {
            "ON" or "TRUE" or "YES" or "1" => (true, true),
            "OFF" or "FALSE" or "NO" or "0" => (true, false),
            _ => (false, false),
        };
        result = value;
        return known;
    }

    /// <summary>A JSON number without a fraction, or its text.</summary>
    public static bool TryInteger(JsonElement value, out long result)
    {
        result = 0;
        return value.ValueKind switch
        {
            JsonValueKind.Number => value.TryGetInt64(out result) || TryWhole(value, out result),
            JsonValueKind.String => long.TryParse(
                value.GetString(),
                NumberStyles.AllowLeadingSign | NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite,
                CultureInfo.InvariantCulture, out result),
            _ => false,
        };
    }

    private static bool TryWhole(JsonElement value, out long result)
    {
        result = 0;
        if (!value.TryGetDouble(out var number) || number != Math.Floor(number) || Math.Abs(number) > 1L << 53)
        {
            return false;
        }
        result = (long)number;
        return true;
    }
}
