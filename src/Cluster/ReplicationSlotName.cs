using System.Buffers;
using System.Globalization;
using System.Text;

namespace Routing.Cluster;

/// <summary>The slot name of a member: its name in the characters that PostgreSQL allows.</summary>
public static class ReplicationSlotName
{
    private const int MaximumLength = 63;

    private static readonly SearchValues<char> s_allowed = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789_");

    /// <summary>
    /// Lower case; '-' and '.' become '_'; any other character outside [a-z0-9_] becomes 'u' and its code point in
    /// decimal, padded to four digits; cut to 63 characters.
    /// </summary>
    public static string FromMember(string name)
    {
        if (name.Length <= MaximumLength && !name.AsSpan().ContainsAnyExcept(s_allowed))
        {
            return name;
        }
        var result = new StringBuilder(name.Length);
        foreach (var rune in name.ToLowerInvariant().EnumerateRunes())
        {
            if (rune.Value is >= 'a' and <= 'z' or >= '0' and <= '9' or '_')
            {
                result.Append((char)rune.Value);
            }
            else if (rune.Value is '-' or '.')
            {
                result.Append('_');
            }
            else
            {
                result.Append(CultureInfo.InvariantCulture, $"u{rune.Value:D4}");
            }
        }
        return result.Length > MaximumLength ? result.ToString(0, MaximumLength) : result.ToString();
    }
}
