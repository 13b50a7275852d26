using System.Net;
using System.Net.Sockets;
using Routing.Proxy.Configuration;

namespace Routing.Proxy.Host;

/// <summary>Opens the sockets of listeners.</summary>
internal static class ListenSockets
{
    private const int Backlog = 4096;   // bounded by net.core.somaxconn
    private const int SolSocket = 1, SoReusePort = 15;

    /// <summary>Binds and listens.</summary>
    /// <exception cref="IOException">The address can't be had; the message says which and why.</exception>
    public static Socket Open(ListenAddress address, bool reusePort)
    {
        try
        {
            if (address.Path is { } path)
            {
                RemoveStale(path);
            }
            var socket = BindAny(address, reusePort);
            socket.Listen(Backlog);
            return socket;
        }
        catch (SocketException problem)
        {
            throw new IOException($"Can't listen on {address}: {problem.Message}", problem);
        }
    }

    // All addresses, where the kernel may have IPv6 switched off.
    private static Socket BindAny(ListenAddress address, bool reusePort)
    {
        var endpoint = address.ToEndPoint();
        try
        {
            return Bind(endpoint, reusePort);
        }
        catch (SocketException problem) when (address.Tcp is { Host: "*", Port: var port }
            && problem.SocketErrorCode is SocketError.AddressFamilyNotSupported or SocketError.AddressNotAvailable)
        {
            return Bind(new IPEndPoint(IPAddress.Any, port), reusePort);
        }
    }

    /// <summary>A socket that is bound and does not listen yet.</summary>
    /// <exception cref="SocketException">The address can't be had.</exception>
    public static Socket Bind(EndPoint endpoint, bool reusePort)
    {
        var isUnix = endpoint is UnixDomainSocketEndPoint;
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream,
            isUnix ? ProtocolType.Unspecified : ProtocolType.Tcp);
        try
        {
            if (!isUnix)
            {
                socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
                if (reusePort)
                {
                    socket.SetRawSocketOption(SolSocket, SoReusePort, BitConverter.GetBytes(1));
                }
                if (endpoint is IPEndPoint { Address: var ip } && ip.Equals(IPAddress.IPv6Any))
                {
                    socket.DualMode = true;
                }
            }
            socket.Bind(endpoint);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    // A file at which no process answers was left by one that was killed.
    private static void RemoveStale(string path)
    {
        if (!File.Exists(path))
        {
            return;
        }
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException)
        {
            File.Delete(path);
        }
    }
}
