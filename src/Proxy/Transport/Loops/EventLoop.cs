using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Routing.Dcs;

namespace Routing.Proxy.Transport.Loops;

/// <summary>
/// One event loop: a thread, its queue of posted work, its timers and its relay buffer. Subclasses say how it waits
/// for the kernel.
/// </summary>
internal abstract unsafe partial class EventLoop : IDisposable
{
    /// <summary>The relay's buffer for ordinary traffic.</summary>
    public const int SmallBuffer = 16 * 1024;

    /// <summary>The relay's buffer for a busy direction: fewer system calls for each byte.</summary>
    public const int LargeBuffer = 512 * 1024;

    /// <summary>
    /// A direction that receives so much at once is busy: what PostgreSQL sends at once in a COPY, bytes.
    /// </summary>
    public const int BusyFrom = 8 * 1024;

    /// <summary>
    /// With so many bytes waiting for slow receivers, all directions use the small buffer: it bounds what each adds.
    /// </summary>
    public const int MostUnsent = 32 * 1024 * 1024;

    private readonly ILogger _logger;
    private readonly Thread _thread;
    private readonly ConcurrentQueue<(Action<object?> Action, object? State)> _posted = new();
    private readonly List<LoopSource> _closing = [];
    private readonly PriorityQueue<(Action<object?> Action, object? State), long> _timers = new();
    private readonly Lock _closeLock = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SafeFileHandle _wakeUp;
    private int _isWoken;
    private volatile bool _stop;

    /// <summary>Creates it; <see cref="Start"/> starts its thread.</summary>
    protected EventLoop(int index, Favor favor, TimeProvider time, ILogger logger)
    {
        (Index, Favor, Time, _logger) = (index, favor, time, logger);
        Busy = new BusyDirections(this);
        Buffer = (byte*)NativeMemory.AlignedAlloc(LargeBuffer, 4096);
        _wakeUp = new SafeFileHandle(Check(Kernel.EventFd(0, Kernel.EFD_CLOEXEC | Kernel.EFD_NONBLOCK)), true);
        Now = time.GetTimestamp();
        _thread = new Thread(Run) { IsBackground = true, Name = $"loop {index}" };
    }

    /// <summary>Its number, from 0.</summary>
    public int Index { get; }

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

    /// <summary>Whether the loop favors latency or throughput.</summary>
    protected Favor Favor { get; }

    /// <summary>The clock.</summary>
    protected TimeProvider Time { get; }

    /// <summary>The descriptor that becomes readable when work was posted.</summary>
    protected int WakeUp => (int)_wakeUp.DangerousGetHandle();

    /// <summary>
    /// Runs something on this loop, after the present batch. Any thread. A loop that has ended runs nothing.
    /// </summary>
    public void Post(Action<object?> action, object? state)
    {
        _posted.Enqueue((action, state));
        if (!IsCurrent && Interlocked.Exchange(ref _isWoken, 1) == 0)
        {
            Wake();
        }
    }

    /// <summary>
    /// Runs something on this loop when a time has passed. On the loop's thread; can't be taken back: the action looks
    /// at the state.
    /// </summary>
    public void After(TimeSpan delay, Action<object?> action, object? state) =>
        _timers.Enqueue((action, state), Time.TimestampAfter(delay));

    /// <summary>What a source wants has changed. On the loop's thread.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The kernel refuses.</exception>
    public abstract void Change(LoopSource source);

    /// <summary>Takes the bytes that are being received, to send them with all others at the end of the turn.</summary>
    /// <param name="to">Whom to; <see cref="LoopSource.OnUnsent"/> tells what was not taken.</param>
    /// <param name="received">
    /// What <see cref="LoopSource.OnReceived"/> brought, within its call; or bytes from elsewhere, which are not taken.
    /// </param>
    /// <returns>False: not taken. What was taken before has to be sent ahead: <see cref="TakeBack"/>.</returns>
    public virtual bool TrySendLater(LoopSource to, ReadOnlySpan<byte> received) => false;

    /// <summary>What was to be sent later is not; the caller sends it at once.</summary>
    public virtual ReadOnlySpan<byte> TakeBack(LoopSource to) => default;

    /// <summary>
    /// Closes a source between this batch and the next. On the loop's thread, or before the loop knows the source.
    /// </summary>
    public void CloseLater(LoopSource source)
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
        Post(static self => ((EventLoop)self!)._stop = true, this);
        return _ended.Task;
    }

    /// <summary>Frees what it holds; after <see cref="StopAsync"/>.</summary>
    public virtual void Dispose()
    {
        _wakeUp.Dispose();
        NativeMemory.AlignedFree(Buffer);
        GC.SuppressFinalize(this);
    }

    /// <summary>The result of a system call that must not fail.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">It failed.</exception>
    protected static int Check(int result) => result >= 0 ? result : throw Kernel.Exception(Kernel.Error);

    /// <summary>Starts the thread.</summary>
    protected void Start() => _thread.Start();

    /// <summary>The first thing on the thread.</summary>
    protected virtual void Begin()
    {
    }

    /// <summary>Waits for events, calls <see cref="BeginBatch"/>, and dispatches them.</summary>
    /// <param name="patience">
    /// How long to wait at most; zero: not at all; <see cref="Timeout.InfiniteTimeSpan"/>: for ever.
    /// </param>
    protected abstract void Turn(TimeSpan patience);

    /// <summary>Lets go of a closed source, and releases it when nothing in the kernel refers to it any more.</summary>
    protected abstract void Close(LoopSource source);

    /// <summary>The last thing on the thread.</summary>
    protected virtual void End()
    {
    }

    /// <summary>The wait is over.</summary>
    protected void BeginBatch() => Now = Time.GetTimestamp();

    /// <summary>Takes the news off <see cref="WakeUp"/>.</summary>
    protected void TakeWakeUp()
    {
        var value = 0UL;
        _ = Kernel.Read(WakeUp, &value, sizeof(ulong));
    }

    /// <summary>Tells a source. A mistake in one session must not end the loop of all others.</summary>
    protected void Dispatch(LoopSource source, uint events)
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

    /// <summary>An event could not be handled.</summary>
    [LoggerMessage(
        EventId = 6101, Level = LogLevel.Error, Message = "An event could not be handled: a fault of this program")]
    protected partial void LogFault(Exception error);

    [LoggerMessage(EventId = 6105, Level = LogLevel.Warning,
        Message = "The scheduling policy of an event loop stays as it was: sched_setscheduler: {Reason}")]
    private partial void LogNotDeferring(string reason);

    private void Run()
    {
        if (Favor == Favor.Throughput && !Kernel.Defer())
        {
            LogNotDeferring(Kernel.Exception(Kernel.Error).Message);
        }
        Begin();
        while (!_stop)
        {
            Turn(Patience());
            RunPosted();
            RunTimers();
            CloseDue();
        }
        CloseDue();
        End();
        _ended.TrySetResult();
    }

    // Held while it is written to: the number of a closed descriptor may belong to another file by then.
    private void Wake()
    {
        var isHeld = false;
        try
        {
            _wakeUp.DangerousAddRef(ref isHeld);
            var one = 1UL;
            _ = Kernel.Write(WakeUp, &one, sizeof(ulong));
        }
        catch (ObjectDisposedException)
        {
            // the loop has ended
        }
        finally
        {
            if (isHeld)
            {
                _wakeUp.DangerousRelease();
            }
        }
    }

    private TimeSpan Patience()
    {
        if (!_posted.IsEmpty || _closing.Count > 0)
        {
            return TimeSpan.Zero;
        }
        if (!_timers.TryPeek(out _, out var due))
        {
            return Timeout.InfiniteTimeSpan;
        }
        var left = Time.GetElapsedTime(Time.GetTimestamp(), due);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
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
            // What is closed may close others: a listener hands over the connections that are left in its queue.
            for (var i = 0; i < _closing.Count; i++)
            {
                Guarded(static source => ((LoopSource)source!).Owner.Close((LoopSource)source), _closing[i]);
            }
            _closing.Clear();
        }
    }

    /// <summary>An error of one source is logged and ends nothing else.</summary>
    protected void Guarded(Action<object?> action, object? state)
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
}
