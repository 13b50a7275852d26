using System.Globalization;

namespace Routing.Cluster;

/// <summary>A host name or address (IPv6 without brackets) and a TCP port.</summary>
/// <param name="Host">Name or address.</param>
/// <param name="Port">1 to 65535.</param>
public readonly record struct HostPort(string Host, int Port)
{
    /// <summary>Reads "host", "host:port", "[v6]:port", "v6:port" or a bare IPv6 address.</summary>
    /// <remarks>
    /// What stands behind the last colon is the port wherever what stands before it is a whole address, as Patroni
    /// reads it: "::1:5433" is port 5433 of ::1. <see cref="IsAmbiguous"/> tells of a text that means something without
    /// that as well.
    /// </remarks>
    /// <param name="text">The text.</param>
    /// <param name="defaultPort">The port when none is given.</param>
    /// <param name="result">What was read.</param>
    /// <param name="leastPort">The lowest port that the text may name: 0 where the kernel may choose one.</param>
    public static bool TryParse(string? text, int defaultPort, out HostPort result, int leastPort = 1)
    {
        result = default;
        if (string.IsNullOrWhiteSpace(text))
        {
            return false;
        }
        text = text.Trim();
        string host;
        var port = defaultPort;
        string? portText = null;
        if (text[0] == '[')
        {
            var close = text.IndexOf(']', StringComparison.Ordinal);
            if (close < 0)
            {
                return false;
            }
            host = text[1..close];
            var rest = text[(close + 1)..];
            if (rest.Length > 0)
            {
                if (rest[0] != ':')
                {
                    return false;
                }
                portText = rest[1..];
            }
        }
        else
        {
            var colon = text.LastIndexOf(':');
            if (colon >= 0 && text.IndexOf(':', StringComparison.Ordinal) == colon)
            {
                host = text[..colon];
                portText = text[(colon + 1)..];
            }
            else if (colon >= 0 && IsIPv6(text[..colon]) && IsPort(text[(colon + 1)..]))
            {
                host = text[..colon];
                portText = text[(colon + 1)..];
            }
            else
            {
                host = text;
            }
        }
        if (host.Length == 0 || !host.All(IsOfHost)
            || (host.Contains(':', StringComparison.Ordinal) && !IsIPv6(host))
            || (portText is not null
                && (!int.TryParse(portText, NumberStyles.None, CultureInfo.InvariantCulture, out port)
                    || port < leastPort || port > 65535)))
        {
            return false;
        }
        result = new HostPort(host, port);
        return true;
    }

    /// <summary>Whether a text without brackets is an IPv6 address as a whole, and one with a port as well.</summary>
    public static bool IsAmbiguous(string? text)
    {
        var trimmed = text?.Trim() ?? "";
        var colon = trimmed.LastIndexOf(':');
        return colon > 0 && IsIPv6(trimmed) && IsIPv6(trimmed[..colon]) && IsPort(trimmed[(colon + 1)..]);
    }

    /// <summary>"host:port", with brackets around an IPv6 address.</summary>
    public override string ToString() =>
        Host.Contains(':', StringComparison.Ordinal)
            ? string.Create(CultureInfo.InvariantCulture, $"[{Host}]:{Port}")
            : string.Create(CultureInfo.InvariantCulture, $"{Host}:{Port}");

    /// <summary>
    /// Letters of any script, and what addresses, zones and the wildcard need. A path, a URL or a template is no host.
    /// </summary>
    private static bool IsOfHost(char letter) =>
        char.IsLetterOrDigit(letter) || letter is '-' or '_' or '.' or ':' or '%' or '*';

    private static bool IsPort(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is >= 1 and <= 65535;

    /// <summary>
    /// Groups of up to four hexadecimal digits, at most one "::", perhaps an IPv4 address at the end or a zone behind
    /// "%".
    /// </summary>
    private static bool IsIPv6(string text)
    {
        var zone = text.IndexOf('%', StringComparison.Ordinal);
        text = zone < 0 ? text : text[..zone];
        var gap = text.IndexOf("::", StringComparison.Ordinal);
        if (gap < 0)
        {
            return Groups(text) == 8;
        }
        var (before, after) = (text[..gap], text[(gap + 2)..]);
        return (before.Length == 0 || Groups(before) > 0) && (after.Length == 0 || Groups(after) > 0)
            && Groups(before) + Groups(after) <= 7;
    }

    /// <summary>How many groups of 16 bits a text without "::" has; 0 when it is none.</summary>
    private static int Groups(string text)
    {
        var groups = text.Split(':');
        var count = 0;
        foreach (var (index, group) in groups.Select((group, index) => (index, group)))
        {
            if (index == groups.Length - 1 && group.Contains('.', StringComparison.Ordinal))
            {
                return IsIPv4(group) ? count + 2 : 0;
            }
            if (group.Length is 0 or > 4 || !group.All(char.IsAsciiHexDigit))
            {
                return 0;
            }
            count++;
        }
        return count;
    }

    private static bool IsIPv4(string text)
    {
        var parts = text.Split('.');
        return parts.Length == 4
            && parts.All(part => byte.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out _));
    }
}
