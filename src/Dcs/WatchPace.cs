namespace Routing.Dcs;

/// <summary>How often a watch asks the store for a sign of life; may be changed while the watch runs.</summary>
/// <remarks>
/// Thread-safe. A new value counts from the next question on. An agent with a long ttl asks less often than a router: while a
/// lease of 30 s decides, three seconds more or less to find a frozen etcd member do not, and an idle agent sleeps longer.
/// </remarks>
public sealed class WatchPace
{
    private static readonly TimeSpan Fastest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Slowest = TimeSpan.FromSeconds(5);

    private long _ticks = Fastest.Ticks;

    /// <summary>Time between two questions. Default 1 s.</summary>
    public TimeSpan Interval
    {
        get => new(Interlocked.Read(ref _ticks));
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(value, TimeSpan.Zero);
            Interlocked.Exchange(ref _ticks, value.Ticks);
        }
    }

    /// <summary>No sign of life for this long: the endpoint is given up. The interval and a quarter, and 1.25 s for the answer: 2.5 to 7.5 s.</summary>
    public TimeSpan SilenceLimit => (Interval + Fastest) * 1.25;

    /// <summary>The interval that fits a lease: a sixth of the ttl, 1 s at least and 5 s at most.</summary>
    public static TimeSpan For(TimeSpan ttl) => ttl / 6 < Fastest ? Fastest : ttl / 6 > Slowest ? Slowest : ttl / 6;

    /// <summary>Time until the next whole multiple of the interval on the monotonic clock: timers of one interval fire together, and wake the process once.</summary>
    public static TimeSpan UntilNext(TimeSpan interval, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(interval, TimeSpan.Zero);
        ArgumentNullException.ThrowIfNull(time);
        var left = interval - TimeSpan.FromTicks(time.GetElapsedTime(0).Ticks % interval.Ticks);
        return left < interval / 10 ? left + interval : left;   // a timer may fire a little early: that was this multiple already
    }
}
