using System.Net;
using System.Net.Sockets;
using Routing.Cluster;

namespace Routing.Proxy.Configuration;

/// <summary>A TCP address or the path of a Unix domain socket.</summary>
/// <param name="Tcp">Host and port; null for a path.</param>
/// <param name="Path">The path; null for TCP.</param>
internal sealed record ListenAddress(HostPort? Tcp, string? Path)
{
    /// <summary>Tells two listeners apart for which the kernel chooses the port (port 0); else empty.</summary>
    public string Distinction { get; init; } = "";

    /// <summary>Stands for an address that could not be read.</summary>
    public static readonly ListenAddress Unknown = new(null, null);

    private const string UnixPrefix = "unix:";
    private const int LongestPath = 107;

    /// <summary>
    /// Reads <c>host:port</c> (the host may be <c>*</c>: all addresses of both families; the port may be 0: a free one)
    /// or <c>unix:/path</c>.
    /// </summary>
    public static bool TryParse(string text, out ListenAddress? address)
    {
        address = null;
        if (text.StartsWith(UnixPrefix, StringComparison.Ordinal))
        {
            var path = text[UnixPrefix.Length..];
            address = path.StartsWith('/') && path.Length <= LongestPath ? new(null, path) : null;
        }
        else if (HostPort.TryParse(text, -1, out var tcp, leastPort: 0) && tcp.Port >= 0)
        {
            address = new(tcp, null);
        }
        return address is not null;
    }

    /// <summary>Where to bind. A name is resolved once.</summary>
    /// <exception cref="SocketException">The name is not known.</exception>
    public EndPoint ToEndPoint()
    {
        if (Path is { } path)
        {
            return new UnixDomainSocketEndPoint(path);
        }
        var (host, port) = Tcp!.Value;
        return new IPEndPoint(
            host is "*" ? (Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any)
                : IPAddress.TryParse(host, out var known) ? known : Dns.GetHostAddresses(host)[0], port);
    }

    /// <summary>
    /// Whether one process cannot listen at both: the same path, or the same port at addresses that overlap.
    /// </summary>
    public bool Overlaps(ListenAddress other) => Tcp is { } own && other.Tcp is { } theirs
        ? own.Port != 0 && own.Port == theirs.Port
            && (IsWildcard(own.Host, theirs.Host) || IsWildcard(theirs.Host, own.Host)
            || string.Equals(own.Host, theirs.Host, StringComparison.OrdinalIgnoreCase))
        : Path is not null && Path == other.Path;

    // All of IPv4 overlaps with IPv4 addresses only, all of both families with everything.
    private static bool IsWildcard(string host, string other) => host is "*" or "::"
        || (host == "0.0.0.0"
            && (!IPAddress.TryParse(other, out var known) || known.AddressFamily == AddressFamily.InterNetwork));

    /// <inheritdoc/>
    public override string ToString() => Path is null ? Tcp!.Value.ToString() : UnixPrefix + Path;
}
