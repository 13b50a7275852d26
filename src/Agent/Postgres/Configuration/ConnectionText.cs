using System.Buffers;
using System.Text;

namespace Routing.Agent.Postgres.Configuration;

/// <summary>The <c>keyword=value</c> form of libpq's connection strings.</summary>
internal static class ConnectionText
{
    /// <summary>Writes the pairs in their order; null values are left out.</summary>
    public static string Write(IEnumerable<KeyValuePair<string, string?>> pairs)
    {
        var text = new StringBuilder();
        foreach (var (key, value) in pairs)
        {
            if (value is not null)
            {
                if (text.Length > 0)
                {
                    text.Append(' ');
                }
                text.Append(key).Append('=').Append(Quote(value));
            }
        }
        return text.ToString();
    }

    /// <summary>Reads the pairs. What cannot be read ends the list: the text was not written by us.</summary>
    public static Dictionary<string, string> Read(string text)
    {
        var pairs = new Dictionary<string, string>(StringComparer.Ordinal);
        var at = 0;
        while (true)
        {
            while (at < text.Length && char.IsWhiteSpace(text[at]))
            {
                at++;
            }
            var equals = at < text.Length ? text.IndexOf('=', at) : -1;
            if (equals < 0)
            {
                return pairs;
            }
            var key = text[at..equals].Trim();
            at = equals + 1;
            while (at < text.Length && char.IsWhiteSpace(text[at]))
            {
                at++;
            }
            var quoted = at < text.Length && text[at] == '\'';
            if (quoted)
            {
                at++;
            }
            var value = new StringBuilder();
            while (at < text.Length && (quoted ? text[at] != '\'' : !char.IsWhiteSpace(text[at])))
            {
                if (text[at] == '\\' && at + 1 < text.Length)
                {
                    at++;
                }
                value.Append(text[at++]);
            }
            at++;
            pairs[key] = value.ToString();
        }
    }

    private static readonly SearchValues<char> s_special = SearchValues.Create(" '\\\t\n\r\v\f");

    private static string Quote(string value) =>
        value.Length > 0 && value.AsSpan().IndexOfAny(s_special) < 0
            ? value
            : "'" + value.Replace("\\", "\\\\", StringComparison.Ordinal)
                .Replace("'", "\\'", StringComparison.Ordinal) + "'";
}
