using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Routing.Proxy.Transport.Loops;

/// <summary>A loop that waits on a level-triggered epoll set.</summary>
internal sealed unsafe class EpollLoop : EventLoop
{
    private const int BatchSize = 256;
    private const int SystemWait = 441;   // epoll_pwait2

    private readonly int _epoll;
    private readonly Kernel.EpollEvent* _events =
        (Kernel.EpollEvent*)NativeMemory.Alloc(BatchSize, (nuint)sizeof(Kernel.EpollEvent));
    private bool _isCoarse;   // the kernel waits for whole milliseconds only

    /// <summary>Creates it and starts its thread.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The kernel gives no epoll set.</exception>
    public EpollLoop(int index, Favor favor, TimeProvider time, ILogger logger)
        : base(index, favor, time, logger)
    {
        _epoll = Check(Kernel.EpollCreate(Kernel.EPOLL_CLOEXEC));
        var wakeUp = new Kernel.EpollEvent { Events = Kernel.EPOLLIN, Data = 0 };
        _ = Check(Kernel.EpollControl(_epoll, Kernel.EPOLL_CTL_ADD, WakeUp, &wakeUp));
        Start();
    }

    /// <inheritdoc/>
    public override void Change(LoopSource source)
    {
        ref var known = ref source.Registration;
        if (!source.IsWatched)
        {
            if (known.IsAdded)
            {
                known.IsAdded = false;
                _ = Kernel.EpollControl(_epoll, Kernel.EPOLL_CTL_DEL, source.Fd, null);
            }
            return;
        }
        if (known.IsAdded && known.Polled == source.Watched)
        {
            return;
        }
        var operation = known.IsAdded ? Kernel.EPOLL_CTL_MOD : Kernel.EPOLL_CTL_ADD;
        (known.IsAdded, known.Polled) = (true, (ushort)source.Watched);
        var what = new Kernel.EpollEvent { Events = source.Watched, Data = source.Handle };
        _ = Check(Kernel.EpollControl(_epoll, operation, source.Fd, &what));
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _ = Kernel.Close(_epoll);
        NativeMemory.Free(_events);
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override void Turn(TimeSpan patience)
    {
        var events = _events;
        var count = Wait(events, patience);
        BeginBatch();
        for (var at = 0; at < count; at++)
        {
            if (events[at].Data == 0)
            {
                TakeWakeUp();
            }
            else if (LoopSource.Of(events[at].Data) is { IsClosed: false } source)
            {
                Dispatch(source, events[at].Events);
            }
        }
    }

    private int Wait(Kernel.EpollEvent* events, TimeSpan patience)
    {
        if (patience > TimeSpan.Zero && !_isCoarse)
        {
            var limit = new Kernel.TimeLimit(patience);
            var count = (int)Kernel.SystemCall(SystemWait, _epoll, (nint)events, BatchSize, (nint)(&limit), 0, 0);
            if (count >= 0 || Kernel.Error != Kernel.ENOSYS)
            {
                return count;
            }
            _isCoarse = true;   // older than 5.11
        }
        var milliseconds =
            patience < TimeSpan.Zero ? -1 : (int)Math.Min(Math.Ceiling(patience.TotalMilliseconds), int.MaxValue);
        return Kernel.EpollWait(_epoll, events, BatchSize, milliseconds);
    }

    /// <inheritdoc/>
    // a closed descriptor leaves the set by itself
    protected override void Close(LoopSource source) => source.Release();
}
