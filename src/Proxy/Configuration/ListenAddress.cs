using System.Net;
using System.Net.Sockets;
using Routing.Cluster;

namespace Routing.Proxy.Configuration;

/// <summary>A TCP address or the path of a Unix domain socket.</summary>
/// <param name="Tcp">Host and port; null for a path.</param>
/// <param name="Path">The path; null for TCP.</param>
internal sealed record ListenAddress(HostPort? Tcp, string? Path)
{
    private const string UnixPrefix = "unix:";
    private const int LongestPath = 107;

    /// <summary>Reads <c>host:port</c> (the host may be <c>*</c>) or <c>unix:/path</c>.</summary>
    public static bool TryParse(string text, out ListenAddress? address)
    {
        address = null;
        if (text.StartsWith(UnixPrefix, StringComparison.Ordinal))
        {
            var path = text[UnixPrefix.Length..];
            address = path.StartsWith('/') && path.Length <= LongestPath ? new(null, path) : null;
        }
        else if (HostPort.TryParse(text, 0, out var tcp) && tcp.Port > 0)
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
            host is "*" ? IPAddress.Any : IPAddress.TryParse(host, out var known) ? known : Dns.GetHostAddresses(host)[0], port);
    }

    /// <inheritdoc/>
    public override string ToString() => Path is null ? Tcp!.Value.ToString() : UnixPrefix + Path;
}
