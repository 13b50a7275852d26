using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;

namespace Routing.TestKit;

/// <summary>
/// Listens on a free port of 127.0.0.1 and gives each connection to the derived class; the base of pretend servers.
/// </summary>
public abstract class PretendListener : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    /// <summary>Begins to listen.</summary>
    /// <param name="backlog">Connections that may wait.</param>
    protected PretendListener(int backlog = 1024)
    {
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _socket.Listen(backlog);
        Port = ((IPEndPoint)_socket.LocalEndPoint!).Port;
        _ = AcceptAsync();
    }

    /// <summary>Its port.</summary>
    public int Port { get; }

    /// <summary>Connections that are open now, with a number that whoever serves them may give.</summary>
    public ConcurrentDictionary<Socket, int> Open { get; } = new();

    /// <summary>Its cable is pulled: whatever comes in is dropped, without an answer of any kind.</summary>
    public void Vanish()
    {
        BlackHole.Swallow(_socket);
        foreach (var open in Open.Keys)
        {
            BlackHole.Swallow(open);
        }
    }

    /// <summary>Closes everything.</summary>
    public void Dispose()
    {
        GC.SuppressFinalize(this);
        _socket.Dispose();
        foreach (var open in Open.Keys)
        {
            open.Dispose();
        }
    }

    /// <summary>Serves a connection to its end; it is closed then. Errors of the connection are its end.</summary>
    protected abstract Task ServeAsync(Socket peer);

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _ = ServeToTheEndAsync(await _socket.AcceptAsync());
            }
        }
        catch (Exception over) when (over is SocketException or ObjectDisposedException)
        {
            // disposed of
        }
    }

    private async Task ServeToTheEndAsync(Socket peer)
    {
        Open[peer] = 0;
        try
        {
            await ServeAsync(peer);
        }
        catch (Exception over) when (over is IOException or SocketException or ObjectDisposedException
            or AuthenticationException)
        {
            // the other side is gone, or does not trust us
        }
        finally
        {
            Open.TryRemove(peer, out _);
            peer.Dispose();
        }
    }
}
