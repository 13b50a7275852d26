namespace Routing.Dcs;

/// <summary>How often a watch asks the store for a sign of life; may be changed while the watch runs.</summary>
/// <remarks>
/// Thread-safe. A new value counts from the next question on. An agent with a long ttl asks less often than a router:
/// while a lease of 30 s decides, three seconds more or less to find a frozen etcd member do not, and an idle agent
/// sleeps longer.
/// </remarks>
public sealed class WatchPace
{
    private static readonly TimeSpan s_fastest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_slowest = TimeSpan.FromSeconds(5);

    private long _ticks = s_fastest.Ticks;

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

    /// <summary>
    /// No sign of life for this long: the endpoint is given up. The interval and a quarter, and 1.25 s for the answer:
    /// 2.5 to 7.5 s.
    /// </summary>
    public TimeSpan SilenceLimit => (Interval + s_fastest) * 1.25;

    /// <summary>The interval that fits a lease: a sixth of the ttl, 1 s at least and 5 s at most.</summary>
    public static TimeSpan For(TimeSpan ttl) =>
        ttl / 6 < s_fastest ? s_fastest : ttl / 6 > s_slowest ? s_slowest : ttl / 6;

    /// <summary>
    /// Time until the next whole multiple of the interval on the monotonic clock: timers of one interval fire together,
    /// and wake the process once.
    /// </summary>
    public static TimeSpan UntilNext(TimeSpan interval, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(interval, TimeSpan.Zero);
        ArgumentNullException.ThrowIfNull(time);
        var left = interval - TimeSpan.FromTicks(time.GetElapsedTime(0).Ticks % interval.Ticks);
        // a timer may fire a little early: that was this multiple already
        return left < interval / 10 ? left + interval : left;
    }
}
