using System.Globalization;
using System.Numerics;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Routing.Settings;

/// <summary>What an unquoted word means in YAML 1.1, which Patroni reads.</summary>
internal static partial class YamlScalar
{
    /// <summary>A boolean, a number, null, or the word itself.</summary>
    /// <remarks>Sexagesimal numbers and dates stay words: <c>12:30</c> is more often an address than a time.</remarks>
    public static JsonNode? Resolve(string word)
    {
        switch (word)
        {
            case "" or "~" or "null" or "Null" or "NULL":
                return null;
            case "yes" or "Yes" or "YES" or "true" or "True" or "TRUE" or "on" or "On" or "ON":
                return JsonValue.Create(true);
            case "no" or "No" or "NO" or "false" or "False" or "FALSE" or "off" or "Off" or "OFF":
                return JsonValue.Create(false);
        }
        if (!char.IsAsciiDigit(word[^1]) && !char.IsAsciiHexDigit(word[^1]) && word[^1] is not ('.' or '_'))
        {
            return JsonValue.Create(word);
        }
        var digits = word.Replace("_", "", StringComparison.Ordinal);
        var negative = digits[0] == '-';
        var body = digits.TrimStart('+', '-');
        if (Integer().IsMatch(word))
        {
            return Number(body, negative);
        }
        return Float().IsMatch(word) ? Real(word, body, negative) : JsonValue.Create(word);
    }

    private static JsonNode? Number(string body, bool negative)
    {
        var value = body switch
        {
            ['0', 'x' or 'X', ..] =>
                BigInteger.Parse("0" + body[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture),
            ['0', 'b', ..] => body[2..].Aggregate(BigInteger.Zero, (sum, digit) => (sum * 2) + (digit - '0')),
            ['0', _, ..] => body[1..].Aggregate(BigInteger.Zero, (sum, digit) => (sum * 8) + (digit - '0')),
            _ => BigInteger.Parse(body, NumberStyles.None, CultureInfo.InvariantCulture),
        };
        return JsonNode.Parse((negative ? -value : value).ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>Digits that are too large for a number stay a word.</summary>
    private static JsonNode? Real(string word, string body, bool negative)
    {
        var value = double.Parse(body, NumberStyles.Float, CultureInfo.InvariantCulture);
        if (!double.IsFinite(value))
        {
            return JsonValue.Create(word);
        }
        var text = (negative ? -value : value).ToString("R", CultureInfo.InvariantCulture);
        return JsonNode.Parse(text.AsSpan().ContainsAny(".E") ? text : text + ".0");
    }

    [GeneratedRegex("^[-+]?(0b[0-1_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$", RegexOptions.CultureInvariant)]
    private static partial Regex Integer();

    [GeneratedRegex(@"^[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+][0-9]+)?$", RegexOptions.CultureInvariant)]
    private static partial Regex Float();
}
