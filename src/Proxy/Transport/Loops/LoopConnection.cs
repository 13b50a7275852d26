using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;

namespace Routing.Proxy.Transport.Loops;

/// <summary>A connected socket on an event loop: pipes before and after, a relay in between.</summary>
internal sealed class LoopConnection : LoopSource, ISharedConnection
{
    private LoopReader? _reader;
    private LoopWriter? _writer;
    private LoopRelay? _relay;

    /// <summary>Takes a connected, non-blocking socket.</summary>
    public LoopConnection(EventLoop loop, int fd)
        : base(loop, fd) => Kernel.SetOption(fd, Kernel.IPPROTO_TCP, Kernel.TCP_NODELAY, 1);

    /// <summary>Goes on with a socket that another process has shared.</summary>
    public LoopConnection(EventLoop loop, SharedSocket shared)
        : base(loop, shared.Descriptor)
    {
        if (shared.Unread.Length > 0)
        {
            Reader.Append(shared.Unread.Span);
        }
    }

    /// <inheritdoc/>
    public EndPoint? RemoteEndPoint => IsClosed ? null : Kernel.AddressOf(Fd, peer: true);

    /// <inheritdoc/>
    public EndPoint? LocalEndPoint => IsClosed ? null : Kernel.AddressOf(Fd, peer: false);

    /// <inheritdoc/>
    public int Loop => Owner.Index;

    /// <inheritdoc/>
    public PipeReader Input => Reader;

    /// <inheritdoc/>
    public PipeWriter Output => Writer;

    private LoopReader Reader
    {
        get
        {
            if (_reader is null)
            {
                _reader = new LoopReader(this);
                if (IsClosed)
                {
                    _reader.Fail(Closed());
                }
            }
            return _reader;
        }
    }

    private LoopWriter Writer
    {
        get
        {
            if (_writer is null)
            {
                _writer = new LoopWriter(this);
                if (IsClosed)
                {
                    _writer.Fail(Closed());
                }
            }
            return _writer;
        }
    }

    /// <inheritdoc/>
    public void Tune(SocketTuning options)
    {
        if (!IsClosed)
        {
            Kernel.Tune(Fd, options);
        }
    }

    /// <inheritdoc/>
    public void Post(Action<object?> action, object? state) => Owner.Post(action, state);

    /// <inheritdoc/>
    public void Abort()
    {
        if (Owner.IsCurrent)
        {
            Close(reset: true);
        }
        else
        {
            Post(static self => ((LoopConnection)self!).Close(reset: true), this);
        }
    }

    /// <inheritdoc/>
    public async ValueTask EndSendingAsync()
    {
        if (_writer is { } writer)
        {
            await writer.FlushAsync();
        }
        ShutDownSending();
    }

    /// <inheritdoc/>
    public async ValueTask EndAsync(TimeSpan linger)
    {
        if (IsClosed)
        {
            return;
        }
        var guard = new LingerGuard(this);
        Owner.After(linger > TimeSpan.Zero ? linger : TimeSpan.FromMilliseconds(1),
            static state => ((LingerGuard)state!).Expire(), guard);
        try
        {
            await Writer.FlushAsync();
            ShutDownSending();
            while (linger > TimeSpan.Zero && !IsClosed)
            {
                // What the peer still sends is taken off the kernel, so that closing is no reset and our last words
                // arrive.
                var result = await Reader.ReadAsync();   // one that was cancelled before it began is no end
                Reader.AdvanceTo(result.Buffer.End);
                if (result.IsCompleted)
                {
                    break;
                }
            }
        }
        catch (SocketException)
        {
            // The peer is gone: that is the end, too.
        }
        guard.Release();
        Close(reset: false);
    }

    /// <inheritdoc/>
    public async ValueTask<SharedSocket?> ShareAsync()
    {
        // What the kernel was asked for has to end first: until then it may receive bytes.
        do
        {
            await new LoopSwitch(this);
        }
        while (Registration is { IsReceiving: true } or { IsPolling: true } or { IsChanged: true });
        return IsClosed || _relay is not null || _writer is { UnflushedBytes: > 0 }
            || _reader is { IsOver: true } or { Failure: not null }
            ? null
            : new SharedSocket(Fd, _reader is null ? default : _reader.Buffered.ToArray());
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        if (Owner.IsCurrent)
        {
            Close(reset: false);
        }
        else
        {
            Post(static self => ((LoopConnection)self!).Close(reset: false), this);
        }
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override void OnEvents(uint events)
    {
        if (_relay is { } relay)
        {
            relay.OnEvents(this, events);
            return;
        }
        const uint Trouble = Kernel.EPOLLERR | Kernel.EPOLLHUP;
        var isUseful = false;
        if ((events & (Kernel.EPOLLOUT | Trouble)) != 0 && _writer is { IsWaiting: true } writer)
        {
            isUseful = true;
            Unwatch(Kernel.EPOLLOUT);
            writer.Resume();
            if (writer.IsWaiting)
            {
                WantWrite();
            }
        }
        if (IsClosed || _relay is not null)
        {
            return;
        }
        if (IsReceiving)
        {
            return;   // what the loop has received so far comes first, and ends soon
        }
        if ((events & (Kernel.EPOLLIN | Trouble)) != 0 && _reader is { IsWaiting: true } reader)
        {
            reader.Receive();
            return;
        }
        if ((events & Kernel.EPOLLIN) != 0)
        {
            Unwatch(Kernel.EPOLLIN);   // no read waits now; the next one watches again
        }
        if ((events & Trouble) != 0 && !isUseful)
        {
            // Errors are reported whether asked for or not: keep what it was for the next reader, and be quiet.
            Reader.Receive();
            if (!IsClosed && _relay is null && Reader is { IsOver: false, Failure: null })
            {
                return;
            }
            Forget();
        }
    }

    /// <inheritdoc/>
    public override void OnReceived(ReadOnlySpan<byte> bytes)
    {
        if (_relay is { } relay)
        {
            relay.OnReceived(this, bytes);
        }
        else
        {
            GiveBack(bytes);
        }
    }

    /// <inheritdoc/>
    public override void OnReceiveEnded(int error)
    {
        if (_relay is { } relay)
        {
            relay.OnReceiveEnded(this, error);
        }
        else
        {
            GiveBackEnd(error);
        }
    }

    /// <inheritdoc/>
    public override void OnUnsent(ReadOnlySpan<byte> unsent, int error)
    {
        if (_relay is { } relay)
        {
            relay.OnUnsent(this, unsent, error);
        }
        else
        {
            Close(reset: true);   // its stream has a gap
        }
    }

    /// <summary>
    /// The peer is told that nothing more comes. An error shows with the next read: the peer is gone.
    /// </summary>
    internal void ShutDownSending()
    {
        if (!IsClosed)
        {
            _ = Kernel.Shutdown(Fd, Kernel.SHUT_WR);
        }
    }

    /// <summary>A read waits for bytes.</summary>
    internal void WantRead() => Guarded(Watched | Kernel.EPOLLIN);

    /// <summary>A write waits until the kernel takes bytes.</summary>
    internal void WantWrite() => Guarded(Watched | Kernel.EPOLLOUT);

    /// <summary>
    /// For the relay: exactly these events. With none the peer is not watched at all, so that an end that it has
    /// reported does not come again and again while what it sent before still has to be delivered.
    /// </summary>
    internal void WatchOnly(uint events)
    {
        if (events == 0)
        {
            StopWatching();
        }
        else
        {
            Guarded(events);
        }
    }

    /// <summary>For the relay: whether it wants bytes, or the news that there are some.</summary>
    internal void ReceiveBytes(bool isWanted) => Receives = isWanted;

    /// <summary>Whether the loop receives for it at present: nothing else may.</summary>
    internal bool IsReceiving => Registration.IsReceiving;

    /// <summary>Bytes that were received and that no relay takes: they stand in the input from now on.</summary>
    internal void GiveBack(ReadOnlySpan<byte> bytes) => Reader.Append(bytes);

    /// <summary>The end that was received behind them: 0 at the end of the stream, else the error.</summary>
    internal void GiveBackEnd(int error)
    {
        if (error == 0)
        {
            Reader.End();
        }
        else
        {
            Reader.Fail(Kernel.Exception(error));
        }
    }

    /// <summary>Hands the connection to a relay. What was read and not taken is the caller's to relay first.</summary>
    internal ReadOnlyMemory<byte> JoinTo(LoopRelay relay, out bool isOver, out Exception? failure)
    {
        if (_writer is { UnflushedBytes: > 0 })
        {
            throw new InvalidOperationException("What was written has to be flushed before the connection is joined.");
        }
        _relay = relay;
        isOver = _reader?.IsOver ?? false;
        failure = IsClosed ? Closed() : _reader?.Failure;
        var rest = _reader is null ? [] : _reader.Buffered.ToArray();
        _reader?.Drop();
        _reader = null;
        _writer?.Drop();
        _writer = null;
        Receives = true;
        return rest;
    }

    /// <summary>Takes the connection back from its relay.</summary>
    /// <param name="unsent">
    /// Bytes for this peer that the kernel has not taken: they go ahead of all that is written from now on.
    /// </param>
    internal void Leave(ReadOnlySpan<byte> unsent)
    {
        _relay = null;
        if (IsClosed)
        {
            return;
        }
        StopWatching();
        Receives = false;
        if (!unsent.IsEmpty)
        {
            Writer.Write(unsent);
        }
    }

    private static SocketException Closed() => new((int)SocketError.OperationAborted);

    private void Unwatch(uint events) => Guarded(Watched & ~events);

    private void Forget() => StopWatching();

    private void Guarded(uint events)
    {
        try
        {
            Watch(events);
        }
        catch (SocketException error)
        {
            // The set takes no more descriptors (fs.epoll.max_user_watches): this connection can't live.
            _reader?.Fail(error);
            _writer?.Fail(error);
            _relay?.OnClosed(this);
        }
    }

    private unsafe void Close(bool reset)
    {
        if (IsClosed)
        {
            return;
        }
        if (reset)
        {
            var linger = stackalloc int[2] { 1, 0 };
            _ = Kernel.SetOption(Fd, Kernel.SOL_SOCKET, Kernel.SO_LINGER, linger, 2 * sizeof(int));
        }
        CloseLater();
        _relay?.OnClosed(this);
        _reader?.Fail(Closed());
        _writer?.Fail(Closed());
        if (_reader is { IsWaiting: false } idle)
        {
            idle.Drop();
        }
    }

    /// <summary>Ends the patience of <see cref="EndAsync"/>.</summary>
    private sealed class LingerGuard(LoopConnection connection)
    {
        private LoopConnection? _connection = connection;

        public void Expire() => _connection?.Close(reset: false);

        /// <summary>The connection has ended by itself: its memory does not wait for the timer.</summary>
        public void Release() => _connection = null;
    }
}
