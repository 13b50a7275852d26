using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Routing.Cluster.Text;

/// <summary>JSON in and out, in Patroni's dialect: read without trust, written compact and in ASCII.</summary>
public static class JsonText
{
    private const int LongestQuote = 60;

    private static readonly JsonWriterOptions s_compact =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Reads a document; every text in the result can be read without an exception.</summary>
    /// <param name="text">The document.</param>
    /// <param name="json">Its root.</param>
    /// <param name="problem">Why it is not JSON; else empty.</param>
    /// <returns>False for what is not JSON.</returns>
    public static bool TryParse(string text, out JsonElement json, out string problem)
    {
        problem = "";
        try
        {
            json = JsonElement.Parse(Encoding.UTF8.GetBytes(text));   // half surrogates become U+FFFD
            json = text.Contains('\\') ? Readable(json) : json;   // and so do those that are written as escapes
            return true;
        }
        catch (JsonException exception)
        {
            json = default;
            problem = $"it is not JSON: {exception.Message}";
            return false;
        }
    }

    /// <summary>
    /// A copy that owns its memory and whose texts can all be read: what is not Unicode becomes U+FFFD.
    /// </summary>
    public static JsonElement Readable(JsonElement json)
    {
        try
        {
            Visit(json);
            return json.Clone();
        }
        catch (InvalidOperationException)   // how JsonElement reports a half surrogate or broken UTF-8 inside a text
        {
            return JsonElement.Parse(WithoutHalfSurrogates(Encoding.UTF8.GetString(JsonMarshal.GetRawUtf8Value(json))));
        }
    }

    /// <summary>The value as it stands in the document, shortened for a message.</summary>
    public static string Quote(JsonElement json)
    {
        var raw = json.GetRawText();
        return raw.Length <= LongestQuote ? raw : string.Concat(raw.AsSpan(0, LongestQuote), "…");
    }

    /// <summary>
    /// Writes a document without blanks; characters outside ASCII as lower-case escapes, as Python's json does.
    /// </summary>
    internal static string Write(Action<Utf8JsonWriter> content)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(buffer, s_compact))
        {
            content(writer);
        }
        return InAscii(Encoding.UTF8.GetString(buffer.WrittenSpan));
    }

    private static void Visit(JsonElement json)
    {
        switch (json.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var property in json.EnumerateObject())
                {
                    _ = property.Name;
                    Visit(property.Value);
                }
                break;
            case JsonValueKind.Array:
                foreach (var item in json.EnumerateArray())
                {
                    Visit(item);
                }
                break;
            case JsonValueKind.String:
                _ = json.GetString();
                break;
            case JsonValueKind.Undefined:
            case JsonValueKind.Number:
            case JsonValueKind.True:
            case JsonValueKind.False:
            case JsonValueKind.Null:
            default:
                break;
        }
    }

    private static string WithoutHalfSurrogates(string json)
    {
        var result = new StringBuilder(json);
        for (var i = 0; i < json.Length; i++)
        {
            if (json[i] != '\\')
            {
                continue;
            }
            if (!TryEscape(json, i, out var unit))
            {
                i++;   // a two-character escape; its second character may be a backslash
            }
            else if (char.IsHighSurrogate(unit) && TryEscape(json, i + 6, out var low) && char.IsLowSurrogate(low))
            {
                i += 11;
            }
            else
            {
                if (char.IsSurrogate(unit))
                {
                    result.Remove(i, 6).Insert(i, "\\ufffd");
                }
                i += 5;
            }
        }
        return result.ToString();
    }

    private static bool TryEscape(string json, int at, out char unit)
    {
        unit = default;
        if (at + 6 > json.Length || json[at] != '\\' || json[at + 1] != 'u'
            || !ushort.TryParse(json.AsSpan(at + 2, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
                out var value))
        {
            return false;
        }
        unit = (char)value;
        return true;
    }

    private static string InAscii(string json)
    {
        if (Ascii.IsValid(json) && !json.Contains('\\'))
        {
            return json;
        }
        var result = new StringBuilder(json.Length + 16);
        for (var i = 0; i < json.Length; i++)
        {
            if (TryEscape(json, i, out var unit))
            {
                result.Append(CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}");
                i += 5;
            }
            else if (json[i] == '\\')
            {
                result.Append(json, i, 2);
                i++;
            }
            else if (json[i] < 0x80)
            {
                result.Append(json[i]);
            }
            else
            {
                result.Append(CultureInfo.InvariantCulture, $"\\u{(int)json[i]:x4}");
            }
        }
        return result.ToString();
    }
}
