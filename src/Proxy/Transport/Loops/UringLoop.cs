using Microsoft.Extensions.Logging;

namespace Routing.Proxy.Transport.Loops;

/// <summary>A loop that waits on an io_uring, which receives for the relays by itself: a message costs one system call, its sending.</summary>
/// <remarks>
/// Sources are told of events as on epoll: a wait for one event is asked for anew after each. What a source wants is compared with what
/// the kernel was asked for once in a turn, so that changes that undo each other cost nothing. While the kernel receives for a
/// source nobody else may, or bytes would change their order; so one kind of request begins only when the other has ended.
/// </remarks>
internal sealed unsafe class UringLoop : EventLoop
{
    private const byte OperationPoll = 6, OperationCancel = 14, OperationReceive = 27;
    private const byte FlagBufferSelect = 1 << 5, FlagSkipSuccess = 1 << 6;
    private const ushort ReceiveMultishot = 1 << 1;
    private const uint PollMultishot = 1;
    private const ulong TagMask = 7, TagWakeUp = 0, TagPoll = 1, TagReceive = 2, TagCancel = 3;
    private const int ECANCELED = 125;

    private readonly Uring _ring;
    private readonly List<LoopSource> _changed = [];
    private int _dying;

    /// <summary>Creates it and starts its thread.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The kernel does not give what is needed.</exception>
    public UringLoop(int index, TimeProvider time, ILogger logger)
        : base(index, time, logger)
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
        _ring.Dispose();
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override void Begin()
    {
        _ring.Enable();
        WatchWakeUp();
    }

    /// <inheritdoc/>
    protected override void Turn(int patience)
    {
        foreach (var source in _changed)
        {
            source.Registration.IsChanged = false;
            Align(source);
        }
        _changed.Clear();
        _ring.Enter(patience);
        BeginBatch();
        while (_ring.TryTake(out var completion))
        {
            var tag = completion.UserData & TagMask;
            if (tag == TagPoll)
            {
                EndPoll(LoopSource.Of((nint)(completion.UserData & ~TagMask)), completion.Result);
            }
            else if (tag == TagReceive)
            {
                TakeReceived(LoopSource.Of((nint)(completion.UserData & ~TagMask)), completion);
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
            Turn(1);
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
            (entry->Operation, entry->Fd, entry->Flags, entry->Priority) = (OperationReceive, source.Fd, FlagBufferSelect, ReceiveMultishot);
            entry->UserData = (ulong)source.Handle | TagReceive;
        }
        if (known.IsDying && !known.IsPolling && !known.IsReceiving)
        {
            known.IsDying = false;
            _dying--;
            source.Release();
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
        try
        {
            if (source.IsClosed)
            {
                return;
            }
            if (result > 0)
            {
                source.OnReceived(new ReadOnlySpan<byte>(_ring.BufferOf(completion.Buffer!.Value), result));
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
        finally
        {
            if (completion.Buffer is { } buffer)
            {
                _ring.GiveBack(buffer);
            }
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
        (entry->Operation, entry->Fd, entry->OperationFlags, entry->Length) = (OperationPoll, WakeUp, Kernel.EPOLLIN, PollMultishot);
        entry->UserData = TagWakeUp;
    }
}
