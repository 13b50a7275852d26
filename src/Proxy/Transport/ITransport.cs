using System.Net;
using System.Net.Sockets;

namespace Routing.Proxy.Transport;

/// <summary>Owns the event loops: accepts, connects, moves bytes.</summary>
/// <remarks>
/// A connection belongs to one loop for its whole life. Everything that is called back for it (the accept handler, the
/// continuations of its pipes, <see cref="ITransportConnection.Post"/>) runs on that loop's thread and must never
/// block. Disposed of, it ends its loops; connections are their owners' to close before.
/// Implementations: <c>io_uring</c> and <c>epoll</c> on loops of our own, and <c>portable</c> on
/// Pipelines.Sockets.Unofficial.
/// </remarks>
internal interface ITransport : IAsyncDisposable
{
    /// <summary><c>io_uring</c>, <c>epoll</c> or <c>portable</c>.</summary>
    string Name { get; }

    /// <summary>Number of event loops.</summary>
    int Loops { get; }

    /// <summary>Accepts from a socket that is bound and listens already, round robin over the loops.</summary>
    /// <param name="listening">The socket; the returned listener owns it.</param>
    /// <param name="accepted">
    /// Called on the connection's loop for each accepted connection; owns the connection.
    /// </param>
    /// <remarks>A broken peer never ends the loop; without descriptors (EMFILE) it pauses and goes on.</remarks>
    ITransportListener Listen(Socket listening, Action<ITransportConnection> accepted);

    /// <summary>
    /// Connects; the new connection lives on the loop of <paramref name="beside"/>, so that the two can be joined.
    /// </summary>
    /// <param name="address">An IP end point or a Unix domain socket; never a name: no resolver is called here.</param>
    /// <param name="beside">The client's connection, or null for any loop.</param>
    /// <param name="options">Socket options of the new connection.</param>
    /// <param name="cancellationToken">Gives up; the socket is closed then.</param>
    /// <exception cref="SocketException">Refused, unreachable …: the socket error tells.</exception>
    ValueTask<ITransportConnection> ConnectAsync(
        EndPoint address, ITransportConnection? beside, SocketTuning options, CancellationToken cancellationToken);

    /// <summary>Takes a socket over that another process has shared.</summary>
    /// <param name="shared">The socket, as a descriptor of this process, and what was received and not taken.</param>
    /// <param name="beside">The client's connection, or null for any loop.</param>
    /// <returns>
    /// The connection, which owns the descriptor; null: this transport can't, and the descriptor stays the caller's.
    /// </returns>
    ITransportConnection? TakeOver(SharedSocket shared, ITransportConnection? beside) => null;

    /// <summary>Prepares a relay between two connections of one loop; see <see cref="IRelay"/>.</summary>
    /// <param name="client">The client's side. Its and the server's pipes must not be in use.</param>
    /// <param name="server">The server's side.</param>
    /// <param name="tap">Sees every byte before it is sent on; null for opaque traffic (TLS pass-through).</param>
    IRelay Join(ITransportConnection client, ITransportConnection server, RelayTap? tap);
}

/// <summary>A listener that accepts until it is stopped.</summary>
internal interface ITransportListener : IAsyncDisposable
{
    /// <summary>The address of the listening socket.</summary>
    EndPoint LocalEndPoint { get; }

    /// <summary>
    /// Stops: accepts what is still in the queue, then closes the listening socket, so that no waiting client is reset.
    /// Connections that were accepted live on.
    /// </summary>
    /// <param name="leavesQueue">
    /// Leaves clients in the queue to another holder of the socket, such as the service manager.
    /// </param>
    ValueTask StopAsync(bool leavesQueue = false);
}

/// <summary>Options of a socket. Zero leaves the kernel's own value.</summary>
/// <param name="KeepAliveIdle">Idle time before the first probe; zero: no keepalive.</param>
/// <param name="KeepAliveInterval">Time between probes.</param>
/// <param name="KeepAliveCount">Probes without an answer until the connection counts as dead.</param>
/// <param name="UserTimeout">TCP_USER_TIMEOUT: how long sent data may stay unacknowledged.</param>
internal sealed record SocketTuning(
    TimeSpan KeepAliveIdle, TimeSpan KeepAliveInterval, int KeepAliveCount, TimeSpan UserTimeout)
{
    /// <summary>Nothing but TCP_NODELAY, which every connection gets.</summary>
    public static readonly SocketTuning None = new(TimeSpan.Zero, TimeSpan.Zero, 0, TimeSpan.Zero);
}
