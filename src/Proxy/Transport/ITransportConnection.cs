using System.IO.Pipelines;
using System.Net;

namespace Routing.Proxy.Transport;

/// <summary>A connected socket whose bytes pass through two pipes, scheduled inline on its event loop.</summary>
/// <remarks>
/// The pipes serve start-up, login, holding and ending; they are made when first used and dropped when the connection
/// is joined, so that an idle session holds no buffer. Both are bounded (64 KiB).
/// <para>Reading ends (completed) at the peer's end of stream, and throws a
/// <see cref="System.Net.Sockets.SocketException"/> or <see cref="IOException"/> when the connection broke.</para>
/// </remarks>
internal interface ITransportConnection : IDuplexPipe, IAsyncDisposable
{
    /// <summary>The peer; null for a Unix domain socket.</summary>
    EndPoint? RemoteEndPoint { get; }

    /// <summary>Our end.</summary>
    EndPoint? LocalEndPoint { get; }

    /// <summary>The loop that it belongs to, from 0.</summary>
    int Loop { get; }

    /// <summary>Applies socket options, such as those of the listener that accepted it.</summary>
    void Tune(SocketTuning options);

    /// <summary>Runs something on the connection's loop. May be called from any thread; never runs inline.</summary>
    void Post(Action<object?> action, object? state);

    /// <summary>
    /// Closes at once; what was not sent is dropped, and the peer sees a reset. Idempotent, from any thread.
    /// </summary>
    void Abort();

    /// <summary>
    /// Sends what was flushed and tells the peer that nothing more comes. Reading goes on. Nothing may be written
    /// afterwards.
    /// </summary>
    /// <exception cref="IOException">The connection broke.</exception>
    /// <exception cref="System.Net.Sockets.SocketException">The connection broke.</exception>
    ValueTask EndSendingAsync();

    /// <summary>
    /// Ends in good order: sends what was flushed, shuts down sending, reads and discards for at most
    /// <paramref name="linger"/> or until the peer has closed, then closes, so that a last message reaches the peer.
    /// </summary>
    ValueTask EndAsync(TimeSpan linger);

    /// <summary>
    /// Closes; like <see cref="EndAsync"/> with zero linger where everything was sent, else like <see cref="Abort"/>.
    /// </summary>
    new ValueTask DisposeAsync();
}
