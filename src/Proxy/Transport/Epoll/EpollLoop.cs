using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Routing.Proxy.Transport.Epoll;

/// <summary>One event loop: a thread, its epoll set, its queue of posted work, its timers and its relay buffers.</summary>
internal sealed unsafe partial class EpollLoop : IDisposable
{
    /// <summary>The relay's buffer for ordinary traffic.</summary>
    public const int SmallBuffer = 16 * 1024;

    /// <summary>The relay's buffer for a busy direction: fewer system calls for each byte.</summary>
    public const int LargeBuffer = 512 * 1024;

    /// <summary>A direction that receives so much at once is busy: what PostgreSQL sends at once in a COPY, bytes.</summary>
    public const int BusyFrom = 8 * 1024;

    /// <summary>With so many bytes waiting for slow receivers, all directions use the small buffer: it bounds what each adds.</summary>
    public const int MostUnsent = 32 * 1024 * 1024;

    private const int BatchSize = 256;

    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private readonly int _wake;
    private readonly ConcurrentQueue<(Action<object?> Action, object? State)> _posted = new();
    private readonly List<EpollSource> _closing = [];
    private readonly PriorityQueue<(Action<object?> Action, object? State), long> _timers = new();
    private readonly Lock _closeLock = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _isWoken;
    private volatile bool _stop;

    /// <summary>Creates it and starts its thread.</summary>
    public EpollLoop(int index, TimeProvider time, ILogger logger)
    {
        (Index, _time, _logger) = (index, time, logger);
        Busy = new BusyDirections(this);
        Buffer = (byte*)NativeMemory.AlignedAlloc(LargeBuffer, 4096);
        Epoll = Check(Kernel.EpollCreate(Kernel.EPOLL_CLOEXEC));
        _wake = Check(Kernel.EventFd(0, Kernel.EFD_CLOEXEC | Kernel.EFD_NONBLOCK));
        var wakeUp = new Kernel.EpollEvent { Events = Kernel.EPOLLIN, Data = 0 };
        _ = Check(Kernel.EpollControl(Epoll, Kernel.EPOLL_CTL_ADD, _wake, &wakeUp));
        Now = time.GetTimestamp();
        _thread = new Thread(Run) { IsBackground = true, Name = $"loop {index}" };
        _thread.Start();
    }

    /// <summary>Its number, from 0.</summary>
    public int Index { get; }

    /// <summary>Its epoll set.</summary>
    public int Epoll { get; }

    /// <summary>The buffer that all relays of this loop receive into, one after another.</summary>
    public byte* Buffer { get; }

    /// <summary>The directions that move much.</summary>
    public BusyDirections Busy { get; }

    /// <summary>Bytes that wait in relays for slow receivers.</summary>
    public long UnsentBytes { get; set; }

    /// <summary>The timestamp at the beginning of the present batch: coarse, and free.</summary>
    public long Now { get; private set; }

    /// <summary>Whether the caller runs on this loop.</summary>
    public bool IsCurrent => Environment.CurrentManagedThreadId == _thread.ManagedThreadId;

    /// <summary>Runs something on this loop, after the present batch. Any thread.</summary>
    public void Post(Action<object?> action, object? state)
    {
        _posted.Enqueue((action, state));
        if (!IsCurrent && Interlocked.Exchange(ref _isWoken, 1) == 0)
        {
            var one = 1UL;
            _ = Kernel.Write(_wake, &one, sizeof(ulong));
        }
    }

    /// <summary>Runs something on this loop when a time has passed. On the loop's thread; can't be taken back: the action looks at the state.</summary>
    public void After(TimeSpan delay, Action<object?> action, object? state) =>
        _timers.Enqueue((action, state), _time.GetTimestamp() + (long)(delay.TotalSeconds * _time.TimestampFrequency));

    /// <summary>Closes a source between this batch and the next. On the loop's thread, or before the loop knows the source.</summary>
    public void CloseLater(EpollSource source)
    {
        lock (_closeLock)
        {
            _closing.Add(source);
        }
        if (!IsCurrent)
        {
            Post(static _ => { }, null);
        }
    }

    /// <summary>Ends the thread after what was posted before.</summary>
    public Task StopAsync()
    {
        Post(static self => ((EpollLoop)self!)._stop = true, this);
        return _ended.Task;
    }

    /// <summary>Frees what it holds; after <see cref="StopAsync"/>.</summary>
    public void Dispose()
    {
        _ = Kernel.Close(_wake);
        _ = Kernel.Close(Epoll);
        NativeMemory.AlignedFree(Buffer);
    }

    private static int Check(int result) => result >= 0 ? result : throw Kernel.Exception(Kernel.Error);

    private void Run()
    {
        var events = stackalloc Kernel.EpollEvent[BatchSize];
        while (!_stop)
        {
            var count = Kernel.EpollWait(Epoll, events, BatchSize, Patience());
            Now = _time.GetTimestamp();
            for (var at = 0; at < count; at++)
            {
                if (events[at].Data == 0)
                {
                    var value = 0UL;
                    _ = Kernel.Read(_wake, &value, sizeof(ulong));
                    continue;
                }
                var source = (EpollSource)GCHandle.FromIntPtr(events[at].Data).Target!;
                if (!source.IsClosed)
                {
                    Guarded(source, events[at].Events);
                }
            }
            RunPosted();
            RunTimers();
            CloseDue();
        }
        CloseDue();
        _ended.TrySetResult();
    }

    private int Patience()
    {
        if (!_posted.IsEmpty || _closing.Count > 0)
        {
            return 0;
        }
        if (!_timers.TryPeek(out _, out var due))
        {
            return -1;
        }
        var left = _time.GetElapsedTime(_time.GetTimestamp(), due);
        return left <= TimeSpan.Zero ? 0 : (int)Math.Min(Math.Ceiling(left.TotalMilliseconds), int.MaxValue);
    }

    private void RunPosted()
    {
        // The flag first: what is posted from here on wakes the loop again.
        Volatile.Write(ref _isWoken, 0);
        for (var left = _posted.Count; left > 0 && _posted.TryDequeue(out var item); left--)
        {
            Guarded(item.Action, item.State);
        }
    }

    private void RunTimers()
    {
        while (_timers.TryPeek(out _, out var due) && due <= Now)
        {
            var item = _timers.Dequeue();
            Guarded(item.Action, item.State);
        }
    }

    private void CloseDue()
    {
        lock (_closeLock)
        {
            foreach (var source in _closing)
            {
                source.CloseNow();
            }
            _closing.Clear();
        }
    }

    // A mistake in one session must not end the loop of all others.
    private void Guarded(EpollSource source, uint events)
    {
        try
        {
            source.OnEvents(events);
        }
        catch (Exception error)
        {
            LogFault(error);
        }
    }

    private void Guarded(Action<object?> action, object? state)
    {
        try
        {
            action(state);
        }
        catch (Exception error)
        {
            LogFault(error);
        }
    }

    [LoggerMessage(EventId = 6101, Level = LogLevel.Error, Message = "An event could not be handled: a fault of this program")]
    private partial void LogFault(Exception error);
}
