using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Routing.Proxy.Transport.Loops;

/// <summary>Accepts on one loop and spreads over all, by turns.</summary>
internal sealed partial class LoopListener : LoopSource, ITransportListener
{
    private const int MostAtOnce = 64;
    private const int MostStops = 100;   // pauses in which a stop waits for descriptors
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);

    private readonly LoopTransport _transport;
    private readonly Socket _socket;
    private readonly Action<ITransportConnection> _accepted;
    private readonly ILogger _logger;
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isShort;
    private int _stops;
    private volatile bool _leavesQueue;

    public LoopListener(
        LoopTransport transport, EventLoop loop, Socket socket, Action<ITransportConnection> accepted, ILogger logger)
        : base(loop, DescriptorOf(socket))
    {
        (_transport, _socket, _accepted, _logger) = (transport, socket, accepted, logger);
        LocalEndPoint = socket.LocalEndPoint!;
        loop.Post(static self => ((LoopListener)self!).Watch(Kernel.EPOLLIN), this);
    }

    /// <inheritdoc/>
    public EndPoint LocalEndPoint { get; }

    /// <inheritdoc/>
    public override void OnEvents(uint events)
    {
        if (!Accept(MostAtOnce))
        {
            StopWatching();
            Owner.After(s_pause, static self => ((LoopListener)self!).GoOn(), this);
        }
    }

    /// <inheritdoc/>
    public ValueTask StopAsync(bool leavesQueue = false)
    {
        _leavesQueue = leavesQueue;
        Owner.Post(static self => ((LoopListener)self!).Stop(), this);
        return new(_stopped.Task);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => StopAsync();

    /// <inheritdoc/>
    protected override void OnReleased(bool isPassed)
    {
        // This look comes last: a connection that is in the queue when the socket is closed is reset.
        if (!_leavesQueue)
        {
            _ = Accept(int.MaxValue, isLast: true);
        }
        _socket.Dispose();   // its descriptor is watched no more
        _stopped.TrySetResult();
    }

    private static int DescriptorOf(Socket socket)
    {
        socket.Blocking = false;
        return (int)socket.SafeHandle.DangerousGetHandle();
    }

    private void Stop()
    {
        if (IsClosed)
        {
            return;
        }
        StopWatching();
        // The kernel has accepted the clients in the queue. Without descriptors they wait until sessions have ended.
        if (!_leavesQueue && !Accept(int.MaxValue) && ++_stops < MostStops)
        {
            Owner.After(s_pause, static self => ((LoopListener)self!).Stop(), this);
            return;
        }
        CloseLater();
    }

    // False: there are no descriptors left.
    private unsafe bool Accept(int most, bool isLast = false)
    {
        for (var count = 0; count < most; count++)
        {
            var fd = Kernel.Accept(Fd, null, null, Kernel.SOCK_NONBLOCK | Kernel.SOCK_CLOEXEC);
            if (fd >= 0)
            {
                _isShort = false;
                Hand(fd, isLast);
                continue;
            }
            switch (Kernel.Error)
            {
                case Kernel.EINTR or Kernel.ECONNABORTED:
                    continue;   // that peer has given up already
                case Kernel.EMFILE or Kernel.ENFILE or Kernel.ENOBUFS or Kernel.ENOMEM:
                    NoteShort(Kernel.Error);
                    return false;
                case Kernel.EAGAIN:
                    return true;
                case var error:
                    LogAccept(error);   // by the manual a network error of the new connection: the next one may be well
                    return true;
            }
        }
        return true;
    }

    private void Hand(int fd, bool isLast)
    {
        var loop = isLast ? Owner : _transport.NextLoop();
        if (ReferenceEquals(loop, Owner))
        {
            _accepted(new LoopConnection(loop, fd));
        }
        else
        {
            loop.Post(static state => ((Handover)state!).Enter(), new Handover(this, loop, fd));
        }
    }

    private void GoOn()
    {
        if (_stops == 0)
        {
            Watch(Kernel.EPOLLIN);
        }
    }

    private void NoteShort(int error)
    {
        if (!_isShort)
        {
            _isShort = true;
            LogShort(error);
        }
    }

    [LoggerMessage(EventId = 6102, Level = LogLevel.Error,
        Message = "No descriptors or memory for a new connection (error {Error}): accepting pauses until some are "
            + "free; raise the limit of open files or lower max_sessions")]
    private partial void LogShort(int error);

    [LoggerMessage(
        EventId = 6103, Level = LogLevel.Warning, Message = "A connection could not be accepted (error {Error})")]
    private partial void LogAccept(int error);

    // An accepted connection on its way to the loop that will own it.
    private sealed class Handover(LoopListener listener, EventLoop loop, int fd)
    {
        public void Enter() => listener._accepted(new LoopConnection(loop, fd));
    }
}
