using System.Globalization;

namespace Routing.Cluster;

/// <summary>A host name or address (IPv6 without brackets) and a TCP port.</summary>
/// <param name="Host">Name or address.</param>
/// <param name="Port">1 to 65535.</param>
public readonly record struct HostPort(string Host, int Port)
{
    /// <summary>Reads "host", "host:port", "[v6]:port" or a bare IPv6 address.</summary>
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
            else
            {
                host = text;
            }
        }
        if (host.Length == 0
            || (portText is not null
                && (!int.TryParse(portText, NumberStyles.None, CultureInfo.InvariantCulture, out port) || port < leastPort || port > 65535)))
        {
            return false;
        }
        result = new HostPort(host, port);
        return true;
    }

    /// <summary>"host:port", with brackets around an IPv6 address.</summary>
    public override string ToString() =>
        Host.Contains(':', StringComparison.Ordinal)
            ? string.Create(CultureInfo.InvariantCulture, $"[{Host}]:{Port}")
            : string.Create(CultureInfo.InvariantCulture, $"{Host}:{Port}");
}
