using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Routing.Agent.Native;

/// <summary>The system's clock, with timers that cost nothing unless they fire.</summary>
/// <remarks>
/// <para>Nearly every timer of an agent is a limit that is never reached. .NET's own queue wakes its thread, and the
/// pool, at the moment of such a timer although it was disposed of long before, and again to set each one that comes
/// sooner. Here the kernel holds one moment, the next that is in force; setting and unsetting it wakes nobody.</para>
/// <para>Callbacks run on the thread pool, without the execution context of the code that made the timer.
/// Thread-safe.</para>
/// </remarks>
internal sealed unsafe class KernelTime : TimeProvider
{
    private const long Granule = 1_000_000;
    private static readonly Lazy<KernelTime> s_lazy = new(() => new KernelTime());

    private readonly Lock _lock = new();
    private readonly SortedSet<KernelTimer> _armed = new(Comparer<KernelTimer>.Create(KernelTimer.Compare));
    private readonly int _descriptor;
    private long _next;
    private long _sequence;
    private long _wakeUps;

    private KernelTime()
    {
        Debug.Assert(Stopwatch.Frequency == 1_000_000_000, "timestamps are the nanoseconds of CLOCK_MONOTONIC");
        _descriptor = Libc.timerfd_create(Libc.CLOCK_MONOTONIC, Libc.TFD_CLOEXEC);
        if (_descriptor < 0)
        {
            throw Libc.Failure("timerfd_create", Marshal.GetLastPInvokeError());
        }
        new Thread(Run, maxStackSize: 256 * 1024) { IsBackground = true, Name = "timers" }.Start();
    }

    /// <summary>The process's one.</summary>
    public static KernelTime Shared => s_lazy.Value;

    /// <summary>How often the timers' thread woke up: what they cost.</summary>
    public long WakeUps => Interlocked.Read(ref _wakeUps);

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ArgumentNullException.ThrowIfNull(callback);
        var timer = new KernelTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    private void Run()
    {
        var due = new List<KernelTimer>();
        while (true)
        {
            long expirations;
            if (Libc.read(_descriptor, (byte*)&expirations, sizeof(long)) < 0
                && Marshal.GetLastPInvokeError() is not Libc.EINTR and var error)
            {
                // Without timers no lease ends and no request either: an agent like that must not look alive.
                Environment.FailFast($"The timers cannot be read (errno {error}).");
            }
            Interlocked.Increment(ref _wakeUps);
            lock (_lock)
            {
                var now = GetTimestamp();
                while (_armed.Min is { } first && first.Due <= now)
                {
                    _armed.Remove(first);
                    first.Running++;
                    due.Add(first);
                    if (first.Period > 0)
                    {
                        // Ticks that were missed are not repeated.
                        first.Due = Math.Max(first.Due + first.Period, now);
                        _armed.Add(first);
                    }
                }
                _next = 0;   // the kernel's timer has fired
                SetKernel();
            }
            foreach (var timer in due)
            {
                ThreadPool.UnsafeQueueUserWorkItem(timer, preferLocal: false);
            }
            due.Clear();
        }
    }

    /// <summary>Sets the kernel's timer to the next due time, if that has changed. Called under the lock.</summary>
    private void SetKernel()
    {
        var next = _armed.Min?.Due ?? 0;
        if (next == _next)
        {
            return;
        }
        _next = next;
        // All zero stops the timer. A time in the past fires at once.
        var spec = new Libc.TimerSpec
        {
            Value = new Libc.Timespec { Seconds = next / 1_000_000_000, Nanoseconds = next % 1_000_000_000 },
        };
        if (Libc.timerfd_settime(_descriptor, Libc.TFD_TIMER_ABSTIME, &spec, null) != 0)
        {
            throw Libc.Failure("timerfd_settime", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>One timer; its fields belong to the clock's lock.</summary>
    private sealed class KernelTimer(KernelTime owner, TimerCallback callback, object? state)
        : ITimer, IThreadPoolWorkItem
    {
        private readonly long _number = Interlocked.Increment(ref owner._sequence);
        private bool _isDisposed;
        private TaskCompletionSource? _ended;

        /// <summary>
        /// When it fires, in nanoseconds of the monotonic clock; changed only while it is not in the set.
        /// </summary>
        public long Due { get; set; }

        /// <summary>Nanoseconds between two firings; 0: it fires once.</summary>
        public long Period { get; private set; }

        /// <summary>Callbacks that run or wait for their turn.</summary>
        public int Running { get; set; }

        public static int Compare(KernelTimer? left, KernelTimer? right) =>
            left!.Due != right!.Due ? left.Due.CompareTo(right.Due) : left._number.CompareTo(right._number);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            var due = Nanoseconds(dueTime, nameof(dueTime));
            var every = Nanoseconds(period, nameof(period));
            lock (owner._lock)
            {
                if (_isDisposed)
                {
                    return false;
                }
                owner._armed.Remove(this);
                Period = Math.Max(every, 0);
                if (due >= 0)
                {
                    // Rounded up to a whole millisecond: timers that are due together wake the thread once.
                    Due = (owner.GetTimestamp() + due + Granule - 1) / Granule * Granule;
                    owner._armed.Add(this);
                }
                owner.SetKernel();
                return true;
            }
        }

        public void Execute()
        {
            bool mayRun;
            lock (owner._lock)
            {
                mayRun = !_isDisposed;
            }
            try
            {
                if (mayRun)
                {
                    callback(state);
                }
            }
            finally
            {
                lock (owner._lock)
                {
                    if (--Running == 0)
                    {
                        _ended?.TrySetResult();
                    }
                }
            }
        }

        public void Dispose()
        {
            lock (owner._lock)
            {
                _isDisposed = true;
                if (owner._armed.Remove(this))
                {
                    owner.SetKernel();
                }
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            lock (owner._lock)
            {
                return Running == 0
                    ? ValueTask.CompletedTask
                    : new ValueTask(
                        (_ended ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task);
            }
        }

        /// <summary>-1: never.</summary>
        private static long Nanoseconds(TimeSpan time, string name)
        {
            if (time == Timeout.InfiniteTimeSpan)
            {
                return -1;
            }
            // The longest time of .NET's own timers: 49 days.
            ArgumentOutOfRangeException.ThrowIfLessThan(time, TimeSpan.Zero, name);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(time, TimeSpan.FromMilliseconds(uint.MaxValue - 1), name);
            return time.Ticks * 100;
        }
    }
}
