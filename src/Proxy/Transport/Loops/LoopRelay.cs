using System.Buffers;
using System.Threading.Tasks.Sources;

namespace Routing.Proxy.Transport.Loops;

/// <summary>Moves bytes between two connections of one loop: receive into a buffer of the loop, look, send.</summary>
/// <remarks>
/// A direction holds a buffer of its own only while its receiver takes less than was received; then its sender is not
/// read. A direction that receives much at once is busy (<see cref="BusyDirections"/>) and gets the loop's large
/// buffer. The two directions never wait for each other, so that a server that complains in the middle of a COPY is
/// heard. Where the loop can receive and send by itself (io_uring) it does so, except for busy directions.
/// </remarks>
internal sealed partial class LoopRelay : IRelay, IValueTaskSource<RelayEnd>
{
    private readonly LoopConnection _client;
    private readonly LoopConnection _server;
    private readonly RelayTap? _tap;
    private ManualResetValueTaskSourceCore<RelayEnd> _end;   // the continuation runs inline, on the loop
    private Direction _up;     // client → server
    private Direction _down;   // server → client
    private Progress _progress;
    private Stopping _stopping;
    private TimeSpan _grace;
    private bool _hasClientEnded;   // and the server has been told

    public LoopRelay(LoopConnection client, LoopConnection server, RelayTap? tap)
    {
        (_client, _server, _tap) = (client, server, tap);
        LastActivity = client.Owner.Now;
    }

    private enum Progress : byte
    {
        New,
        Running,
        Over,
    }

    private enum Stopping : byte
    {
        No,
        BetweenMessages,
        AtRest,
        AtBoundary,
    }

    /// <inheritdoc/>
    public long FromClient => Volatile.Read(ref _up.Bytes);

    /// <inheritdoc/>
    public long FromServer => Volatile.Read(ref _down.Bytes);

    /// <inheritdoc/>
    public long Unsent { get; private set; }

    /// <inheritdoc/>
    public long LastActivity
    {
        get => Volatile.Read(ref field);
        private set => Volatile.Write(ref field, value);
    }

    /// <inheritdoc/>
    public ValueTask<RelayEnd> RunAsync()
    {
        _progress = Progress.Running;
        var fromClient = _client.JoinTo(this, out var clientOver, out var clientFailure);
        var fromServer = _server.JoinTo(this, out var serverOver, out var serverFailure);
        if (!fromClient.IsEmpty)
        {
            Forward(ref _up, fromClient.Span);
        }
        if (!fromServer.IsEmpty && _progress == Progress.Running)
        {
            Forward(ref _down, fromServer.Span);
        }
        if (clientFailure is not null)
        {
            Finish(RelayEnd.ClientBroke);
        }
        else if (serverFailure is not null)
        {
            Finish(RelayEnd.ServerBroke);
        }
        else if (serverOver && _down.Rest is null)
        {
            Finish(RelayEnd.ServerClosed);
        }
        else if (clientOver && _up.Rest is null)
        {
            EndUp();
        }
        Watch();
        if (_stopping != Stopping.No)
        {
            ObeyStop();   // it was told so before it ran
        }
        return new(this, _end.Version);
    }

    /// <inheritdoc/>
    public void StopAtBoundary(TimeSpan grace) => Order(Stopping.AtBoundary, grace);

    /// <inheritdoc/>
    public void StopAtRest(TimeSpan grace) => Order(Stopping.AtRest, grace);

    /// <inheritdoc/>
    public void StopBetweenMessages() => Order(Stopping.BetweenMessages, Timeout.InfiniteTimeSpan);

    /// <inheritdoc/>
    public void GoOn() => _client.Post(
        static self =>
        {
            ref var stopping = ref ((LoopRelay)self!)._stopping;
            stopping = stopping == Stopping.BetweenMessages ? Stopping.No : stopping;
        },
        this);

    /// <summary>The kernel says that something can be done. On the loop.</summary>
    public void OnEvents(LoopConnection connection, uint events)
    {
        if (_progress != Progress.Running)
        {
            return;
        }
        LastActivity = _client.Owner.Now;
        var isClient = ReferenceEquals(connection, _client);
        if ((events & Kernel.EPOLLOUT) != 0)
        {
            Resume(ref isClient ? ref _down : ref _up, connection);
        }
        if (_progress != Progress.Running)
        {
            return;
        }
        if ((events & Kernel.EPOLLIN) != 0 || ((events & (Kernel.EPOLLHUP | Kernel.EPOLLERR)) != 0 && IsRead(isClient)))
        {
            if (!connection.IsReceiving)
            {
                Pump(isClient);
            }
        }
        else if ((events & (Kernel.EPOLLHUP | Kernel.EPOLLERR)) != 0)
        {
            // It is not read at present, because the other side is slow or the relay stops: the bytes have no receiver.
            Finish(isClient ? RelayEnd.ClientBroke : RelayEnd.ServerBroke);
        }
    }

    /// <summary>Where a direction's bytes come from.</summary>
    internal LoopConnection SourceOf(bool isUp) => isUp ? _client : _server;

    /// <summary>How many bytes a direction has moved.</summary>
    internal long BytesOf(bool isUp) => isUp ? _up.Bytes : _down.Bytes;

    /// <summary>Whether it moves bytes.</summary>
    internal bool IsRunning => _progress == Progress.Running;

    /// <summary>
    /// A busy direction is to be reported by the kernel no more, or again: <see cref="Look"/> is called instead.
    /// </summary>
    internal void LookByClock(bool isUp, bool isWanted)
    {
        ref var direction = ref isUp ? ref _up : ref _down;
        if (direction.IsByClock != isWanted)
        {
            direction.IsByClock = isWanted;
            Watch();
        }
    }

    /// <summary>Takes what is there for a direction that is not reported.</summary>
    internal void Look(bool isUp)
    {
        ref var direction = ref isUp ? ref _up : ref _down;
        if (direction.IsByClock && IsRead(isUp) && !SourceOf(isUp).IsReceiving)
        {
            Pump(isUp);
        }
    }

    /// <summary>A direction does not move much any more.</summary>
    internal void EndBusy(bool isUp)
    {
        ref var direction = ref isUp ? ref _up : ref _down;
        (direction.IsBusy, direction.IsByClock) = (false, false);
        if (_progress == Progress.Running)
        {
            SourceOf(isUp).ReceiveBytes(true);
            Watch();
        }
    }

    /// <summary>The loop has received for a connection. On the loop.</summary>
    public void OnReceived(LoopConnection connection, ReadOnlySpan<byte> bytes)
    {
        var isClient = ReferenceEquals(connection, _client);
        if (_progress != Progress.Running || (isClient && _stopping == Stopping.AtBoundary))
        {
            connection.GiveBack(bytes);   // as if it had not been read
            return;
        }
        Take(ref isClient ? ref _up : ref _down, isClient, bytes);
    }

    /// <summary>The kernel has not taken all that the loop was to send. On the loop.</summary>
    public void OnUnsent(LoopConnection connection, ReadOnlySpan<byte> unsent, int error)
    {
        var isClient = ReferenceEquals(connection, _client);
        if (error != Kernel.EAGAIN)
        {
            Unsent += isClient ? 0 : unsent.Length;
            Finish(isClient ? RelayEnd.ClientBroke : RelayEnd.ServerBroke);
        }
        else if (_progress == Progress.Running)
        {
            ref var direction = ref isClient ? ref _down : ref _up;
            var later = connection.Owner.TakeBack(connection);
            Keep(ref direction, unsent, isAhead: true);
            if (!later.IsEmpty)
            {
                Keep(ref direction, later, isAhead: false);
            }
        }
    }

    /// <summary>
    /// The loop can't receive any more for a connection: the end of its stream, or an error. On the loop.
    /// </summary>
    public void OnReceiveEnded(LoopConnection connection, int error)
    {
        var isClient = ReferenceEquals(connection, _client);
        if (error == 0 && (isClient ? _up : _down).Rest is not null)
        {
            return;   // it is read again when all that came before has been delivered
        }
        if (isClient && _stopping == Stopping.AtBoundary)
        {
            connection.GiveBackEnd(error);
        }
        else if (_progress == Progress.Running)
        {
            switch (isClient, error)
            {
                case (true, 0):
                    EndUp();
                    break;
                case (true, _):
                    Finish(RelayEnd.ClientBroke);
                    break;
                default:
                    Finish(error == 0 ? RelayEnd.ServerClosed : RelayEnd.ServerBroke);
                    break;
            }
        }
    }

    // The client sends no more: the server is told behind the last byte, and its answers go on.
    private void EndUp()
    {
        if (_hasClientEnded)
        {
            return;
        }
        SendAtOnce(ref _up, _server);
        if (_up.Rest is not null)
        {
            Watch();   // the end is read again when all that came before it has been delivered
            return;
        }
        _hasClientEnded = true;
        _client.ReceiveBytes(false);
        _server.ShutDownSending();
        Watch();
    }

    /// <summary>One of the connections was closed under the relay. On the loop.</summary>
    public void OnClosed(LoopConnection connection) =>
        Finish(ReferenceEquals(connection, _client) ? RelayEnd.ClientBroke : RelayEnd.ServerBroke);

    RelayEnd IValueTaskSource<RelayEnd>.GetResult(short token) => _end.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<RelayEnd>.GetStatus(short token) => _end.GetStatus(token);

    void IValueTaskSource<RelayEnd>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _end.OnCompleted(continuation, state, token, flags & ~ValueTaskSourceOnCompletedFlags.UseSchedulingContext);

    private unsafe void Pump(bool isClient)
    {
        ref var direction = ref isClient ? ref _up : ref _down;
        var from = SourceOf(isClient);
        var loop = from.Owner;
        var size = direction.IsBusy && loop.UnsentBytes < EventLoop.MostUnsent
            ? EventLoop.LargeBuffer
            : EventLoop.SmallBuffer;
        var buffer = loop.Buffer;
        var count = Kernel.Receive(from.Fd, buffer, size);
        if (count > 0)
        {
            Take(ref direction, isClient, new ReadOnlySpan<byte>(buffer, (int)count));
        }
        else if (-count is not (Kernel.EAGAIN or Kernel.EINTR))
        {
            OnReceiveEnded(from, (int)-count);
        }
    }

    private void Take(ref Direction direction, bool isClient, ReadOnlySpan<byte> bytes)
    {
        LastActivity = _client.Owner.Now;
        if (bytes.Length >= EventLoop.BusyFrom && !direction.IsBusy)
        {
            direction.IsBusy = true;
            SourceOf(isClient).ReceiveBytes(false);   // the large buffer is ours
            _client.Owner.Busy.Add(this, isClient);
        }
        Forward(ref direction, bytes);
        if (_stopping != Stopping.No)
        {
            CheckStop();
        }
    }

    private void Watch()
    {
        if (_progress != Progress.Running)
        {
            return;
        }
        _client.WatchOnly(
            (IsRead(isUp: true) && !_up.IsByClock ? Kernel.EPOLLIN : 0) | (_down.Rest is null ? 0 : Kernel.EPOLLOUT));
        _server.WatchOnly(
            (IsRead(isUp: false) && !_down.IsByClock ? Kernel.EPOLLIN : 0) | (_up.Rest is null ? 0 : Kernel.EPOLLOUT));
    }

    // Whether a direction takes bytes at present, told by the kernel or by the clock.
    private bool IsRead(bool isUp) =>
        isUp ? _up.Rest is null && _stopping != Stopping.AtBoundary && !_hasClientEnded : _down.Rest is null;

    private void Order(Stopping wanted, TimeSpan grace) =>
        _client.Post(static state => ((StopOrder)state!).Carry(), new StopOrder(this, wanted, grace));

    private void BeginStop(Stopping wanted, TimeSpan grace)
    {
        if (_progress == Progress.Over || wanted <= _stopping)
        {
            return;
        }
        (_stopping, _grace) = (wanted, grace);
        if (_progress == Progress.Running)
        {
            ObeyStop();
        }
    }

    private void ObeyStop()
    {
        Watch();
        CheckStop();
        if (_progress == Progress.Running && _stopping != Stopping.BetweenMessages)
        {
            _client.Owner.After(_grace, static self => ((LoopRelay)self!).Finish(RelayEnd.Stopped), this);
        }
    }

    private void CheckStop()
    {
        if (_progress != Progress.Running)
        {
            return;
        }
        var isThere = _stopping switch
        {
            Stopping.BetweenMessages =>
                _up.Rest is null && _down.Rest is null && _tap is null or { IsBetweenMessages: true },
            Stopping.AtRest => _up.Rest is null && _down.Rest is null && _tap is { MayStop: true },
            _ => _down.Rest is null && _tap is null or { ClientAtBoundary: true },
        };
        if (isThere)
        {
            Finish(RelayEnd.Stopped);
        }
    }

    private void Finish(RelayEnd end)
    {
        if (_progress == Progress.Over)
        {
            return;
        }
        _progress = Progress.Over;
        if (_hasClientEnded && end is RelayEnd.ServerClosed or RelayEnd.ClientBroke)
        {
            end = RelayEnd.ClientClosed;
        }
        if (_up.IsBusy || _down.IsBusy)
        {
            _client.Owner.Busy.Remove(this);
        }
        SendAtOnce(ref _down, _client);
        SendAtOnce(ref _up, _server);
        _client.Leave(Take(ref _down));
        _server.Leave(Take(ref _up));
        Unsent += Take(ref _up).Length;
        Give(ref _down);
        Give(ref _up);
        _end.SetResult(end);

        static ReadOnlySpan<byte> Take(ref Direction direction) =>
            direction.Rest is { } rest ? rest.AsSpan(direction.RestStart, direction.RestEnd - direction.RestStart)
                : default;

        void Give(ref Direction direction)
        {
            if (direction.Rest is { } rest)
            {
                _client.Owner.UnsentBytes -= direction.RestEnd - direction.RestStart;
                ArrayPool<byte>.Shared.Return(rest);
                direction.Rest = null;
            }
        }
    }

    private sealed class StopOrder(LoopRelay relay, Stopping wanted, TimeSpan grace)
    {
        public void Carry() => relay.BeginStop(wanted, grace);
    }
}
