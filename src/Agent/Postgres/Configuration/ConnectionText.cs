using System.Buffers;
using System.Globalization;
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
    public static Dictionary<string, string> Read(string text) => Read(text, out _);

    private static Dictionary<string, string> Read(string text, out int at)
    {
        var pairs = new Dictionary<string, string>(StringComparer.Ordinal);
        at = 0;
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

    /// <summary>
    /// Reads what a user wrote: pairs, or a URL such as <c>postgresql://user:password@host:port/database?key=value</c>.
    /// </summary>
    /// <exception cref="FormatException">It is neither.</exception>
    public static Dictionary<string, string> ReadAny(string text)
    {
        if (!text.StartsWith("postgres://", StringComparison.Ordinal)
            && !text.StartsWith("postgresql://", StringComparison.Ordinal))
        {
            var read = Read(text, out var end);
            // What was left out could lead to another server.
            var odd = end < text.Length ? text[end..]
                : read.Keys.FirstOrDefault(key => key.Length == 0 || key.Any(char.IsWhiteSpace));
            return odd is not null ? throw new FormatException($"The DSN has no keyword=value at '{odd}'.")
                : read.Count > 0 ? read
                : throw new FormatException("The DSN is neither a URL nor keyword=value.");
        }
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url))
        {
            throw new FormatException("The DSN is no URL that can be read.");
        }
        var pairs = new Dictionary<string, string>(StringComparer.Ordinal);
        Add("host", url.Host);
        Add("port", url.Port > 0 ? url.Port.ToString(CultureInfo.InvariantCulture) : "");
        var user = url.UserInfo.Split(':', 2);
        Add("user", user[0]);
        Add("password", user.Length > 1 ? user[1] : "");
        Add("dbname", url.AbsolutePath.TrimStart('/'));
        foreach (var pair in url.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            Add(equals < 0 ? pair : pair[..equals], equals < 0 ? "" : pair[(equals + 1)..]);
        }
        return pairs;

        void Add(string key, string value)
        {
            if (value.Length > 0)
            {
                pairs[key] = Uri.UnescapeDataString(value);
            }
        }
    }

    private static readonly SearchValues<char> s_special = SearchValues.Create(" '\\\t\n\r\v\f");

    private static string Quote(string value) =>
        value.Length > 0 && value.AsSpan().IndexOfAny(s_special) < 0
            ? value
            : "'" + value.Replace("\\", "\\\\", StringComparison.Ordinal)
                .Replace("'", "\\'", StringComparison.Ordinal) + "'";
}
