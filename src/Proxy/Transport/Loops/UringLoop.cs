using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Routing.Proxy.Transport.Loops;

/// <summary>
/// A loop that waits on an io_uring, which receives for the relays by itself and sends for them: one system call for
/// all that can be done at a time.
/// </summary>
/// <remarks>
/// Sources are told of events as on epoll: a wait for one event is asked for anew after each. What a source wants is
/// compared with what the kernel was asked for once in a turn, so that changes that undo each other cost nothing. While
/// the kernel receives for a source no other code may, or bytes would change their order; so one kind of request begins
/// only when the other has ended.
/// </remarks>
internal sealed unsafe class UringLoop : EventLoop
{
    private const byte OperationPoll = 6, OperationCancel = 14, OperationSend = 26, OperationReceive = 27;
    private const byte FlagBufferSelect = 1 << 5, FlagSkipSuccess = 1 << 6;
    private const ushort ReceiveMultishot = 1 << 1;
    private const uint PollMultishot = 1;
    private const ulong TagMask = 7, TagWakeUp = 0, TagPoll = 1, TagReceive = 2, TagCancel = 3, TagSend = 4;
    private const int TagBits = 3;
    // at once (MSG_DONTWAIT), and all of it or an error (MSG_WAITALL)
    private const uint SendFlags = 0x40 | 0x100 | Kernel.MSG_NOSIGNAL;
    private const int NoBuffer = -1;
    // where messages wait for each other: for so many more than last time, for so many at most
    private const int MoreThanLast = 2, MostAwaited = 16;
    private const int ECANCELED = 125;

    private readonly Uring _ring;
    private readonly List<LoopSource> _changed = [];
    private SendOrder[] _orders = new SendOrder[Uring.Buffers];   // to be sent with the next turn
    private SendOrder[] _sent = new SendOrder[Uring.Buffers];     // handed to the kernel with this turn
    private int _orderCount;
    private int _sentCount;
    private int _received = NoBuffer;   // the buffer whose bytes a source is being told of
    private int _dying;
    private int _taken;                 // completions of the present turn
    private RunQueue? _queue;           // throughput is favored

    /// <summary>Creates it and starts its thread.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The kernel does not give what is needed.</exception>
    public UringLoop(int index, Favor favor, TimeProvider time, ILogger logger)
        : base(index, favor, time, logger)
    {
        try
        {
            _ring = new Uring();
        }
        catch
        {
            base.Dispose();
            throw;
        }
        Start();
    }

    /// <inheritdoc/>
    public override void Change(LoopSource source)
    {
        if (!source.Registration.IsChanged)
        {
            source.Registration.IsChanged = true;
            _changed.Add(source);
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _queue?.Dispose();
        _ring.Dispose();
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override void Begin()
    {
        _ring.Enable();
        _queue = Favor == Favor.Throughput && _ring.HasLeastWait ? new RunQueue(Time) : null;
        WatchWakeUp();
    }

    /// <inheritdoc/>
    public override bool TrySendLater(LoopSource to, ReadOnlySpan<byte> received)
    {
        if (_received == NoBuffer
            || !Unsafe.AreSame(in MemoryMarshal.GetReference(received), in *_ring.BufferOf(_received)))
        {
            return false;
        }
        ref var known = ref to.Registration;
        if (known.Sending == 0)
        {
            _orders[_orderCount++] = new() { To = to, Buffer = _received, Length = received.Length };
            known.Sending = (ushort)_orderCount;
            _received = NoBuffer;   // kept
            return true;
        }
        ref var order = ref _orders[known.Sending - 1];
        if (order.Length + received.Length > Uring.BufferSize)
        {
            return false;
        }
        received.CopyTo(new Span<byte>(_ring.BufferOf(order.Buffer) + order.Length, received.Length));
        order.Length += received.Length;
        return true;
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> TakeBack(LoopSource to)
    {
        ref var known = ref to.Registration;
        if (known.Sending == 0)
        {
            return default;
        }
        ref var order = ref _orders[known.Sending - 1];
        known.Sending = 0;
        order.To = null;
        return new(_ring.BufferOf(order.Buffer), order.Length);
    }

    /// <inheritdoc/>
    protected override void Turn(TimeSpan patience)
    {
        Send();
        // It may grow meanwhile: a listener that is released accepts the connections that are left in its queue.
        for (var at = 0; at < _changed.Count; at++)
        {
            var source = _changed[at];
            source.Registration.IsChanged = false;
            Align(source);
        }
        _changed.Clear();
        _ring.Enter(patience, Math.Min(_taken + MoreThanLast, MostAwaited), _queue?.Wait ?? 0);
        BeginBatch();
        _queue?.Look(Now);
        _taken = 0;
        TakeCompletions();
        while (_ring.IsOverflowing)
        {
            _ring.Enter(TimeSpan.Zero);
            TakeCompletions();
        }
        for (var at = 0; at < _sentCount; at++)
        {
            _ring.GiveBack(_sent[at].Buffer);
            _sent[at].To = null;
        }
        _sentCount = 0;
        _ring.PublishBuffers();
    }

    /// <inheritdoc/>
    protected override void Close(LoopSource source)
    {
        ref var known = ref source.Registration;
        if (known.IsPolling || known.IsReceiving || known.IsChanged)
        {
            known.IsDying = true;
            _dying++;
            Change(source);
        }
        else
        {
            source.Release();
        }
    }

    /// <inheritdoc/>
    protected override void End()
    {
        while (_dying > 0)
        {
            Turn(TimeSpan.FromMilliseconds(1));
        }
    }

    // The kernel sends all of it within the next entry, and reports only what it did not take; these reports come
    // first.
    private void Send()
    {
        (_orders, _sent) = (_sent, _orders);
        (_orderCount, _sentCount) = (0, _orderCount);
        for (var at = 0; at < _sentCount; at++)
        {
            ref var order = ref _sent[at];
            if (order.To is not { } to)
            {
                continue;
            }
            to.Registration.Sending = 0;
            if (!to.IsClosed)
            {
                var entry = _ring.Next();
                (entry->Operation, entry->Fd, entry->Flags, entry->OperationFlags) =
                    (OperationSend, to.Fd, FlagSkipSuccess, SendFlags);
                (entry->Address, entry->Length) = ((ulong)_ring.BufferOf(order.Buffer), (uint)order.Length);
                entry->UserData = ((ulong)at << TagBits) | TagSend;
            }
        }
    }

    private void TakeCompletions()
    {
        while (_ring.TryTake(out var completion))
        {
            _taken++;
            var tag = completion.UserData & TagMask;
            if (tag == TagReceive)
            {
                TakeReceived(LoopSource.Of((nint)(completion.UserData & ~TagMask)), completion);
            }
            else if (tag == TagPoll)
            {
                EndPoll(LoopSource.Of((nint)(completion.UserData & ~TagMask)), completion.Result);
            }
            else if (tag == TagSend)
            {
                EndSend(_sent[completion.UserData >> TagBits], completion.Result);
            }
            else if (tag == TagWakeUp)
            {
                TakeWakeUp();
                if (!completion.IsMore)
                {
                    WatchWakeUp();
                }
            }
        }
    }

    // Brings what the kernel was asked for in line with what the source wants.
    private void Align(LoopSource source)
    {
        ref var known = ref source.Registration;
        var wanted = source.IsClosed ? 0 : source.Watched;
        var isReceiving = source.Receives && (wanted & Kernel.EPOLLIN) != 0;
        if (isReceiving)
        {
            wanted &= ~Kernel.EPOLLIN;
        }
        if (known.IsReceiving && !isReceiving && !known.IsReceivingCancelled)
        {
            known.IsReceivingCancelled = true;
            Cancel(source, TagReceive);
        }
        if (known.IsPolling && known.Polled != wanted && !known.IsPollingCancelled)
        {
            known.IsPollingCancelled = true;
            Cancel(source, TagPoll);
        }
        if (!known.IsPolling && wanted != 0 && !(known.IsReceiving && (wanted & Kernel.EPOLLIN) != 0))
        {
            (known.IsPolling, known.Polled) = (true, (ushort)wanted);
            var entry = _ring.Next();
            (entry->Operation, entry->Fd, entry->OperationFlags) = (OperationPoll, source.Fd, wanted);
            entry->UserData = (ulong)source.Handle | TagPoll;
        }
        if (!known.IsReceiving && isReceiving && !(known.IsPolling && (known.Polled & Kernel.EPOLLIN) != 0))
        {
            known.IsReceiving = true;
            var entry = _ring.Next();
            (entry->Operation, entry->Fd, entry->Flags, entry->Priority) =
                (OperationReceive, source.Fd, FlagBufferSelect, ReceiveMultishot);
            entry->UserData = (ulong)source.Handle | TagReceive;
        }
        if (known.IsDying && !known.IsPolling && !known.IsReceiving)
        {
            known.IsDying = false;
            _dying--;
            Guarded(static dying => ((LoopSource)dying!).Release(), source);
        }
    }

    private void EndPoll(LoopSource source, int result)
    {
        source.Registration.IsPolling = source.Registration.IsPollingCancelled = false;
        Change(source);
        if (result > 0 && !source.IsClosed)
        {
            Dispatch(source, (uint)result);
        }
    }

    private void TakeReceived(LoopSource source, in Uring.Completion completion)
    {
        if (!completion.IsMore)
        {
            source.Registration.IsReceiving = source.Registration.IsReceivingCancelled = false;
            Change(source);
        }
        var result = completion.Result;
        _received = completion.Buffer ?? NoBuffer;
        try
        {
            if (source.IsClosed)
            {
                // what was on its way means nothing any more
            }
            else if (result > 0)
            {
                source.OnReceived(new ReadOnlySpan<byte>(_ring.BufferOf(_received), result));
            }
            else if (-result is not (ECANCELED or Kernel.ENOBUFS or Kernel.EAGAIN or Kernel.EINTR))
            {
                source.OnReceiveEnded(-result);
            }
        }
        catch (Exception error)
        {
            LogFault(error);
        }
        if (_received != NoBuffer)
        {
            _ring.GiveBack(_received);
            _received = NoBuffer;
        }
    }

    private void EndSend(in SendOrder order, int result)
    {
        if (order.To is not { IsClosed: false } to)
        {
            return;
        }
        var taken = Math.Max(result, 0);
        try
        {
            to.OnUnsent(new ReadOnlySpan<byte>(_ring.BufferOf(order.Buffer) + taken, order.Length - taken),
                result >= 0 ? Kernel.EAGAIN : -result);
        }
        catch (Exception error)
        {
            LogFault(error);
        }
    }

    private void Cancel(LoopSource source, ulong tag)
    {
        var entry = _ring.Next();
        (entry->Operation, entry->Fd, entry->Flags) = (OperationCancel, -1, FlagSkipSuccess);
        entry->Address = (ulong)source.Handle | tag;
        entry->UserData = TagCancel;
    }

    private void WatchWakeUp()
    {
        var entry = _ring.Next();
        (entry->Operation, entry->Fd, entry->OperationFlags, entry->Length) =
            (OperationPoll, WakeUp, Kernel.EPOLLIN, PollMultishot);
        entry->UserData = TagWakeUp;
    }

    /// <summary>What is to be sent with a turn.</summary>
    private struct SendOrder
    {
        public LoopSource? To;   // null: taken back
        public int Length, Buffer;
    }
}
