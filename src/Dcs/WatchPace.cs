namespace Routing.Dcs;

/// <summary>How often a watch asks the store for a sign of life; may be changed while the watch runs.</summary>
/// <remarks>
/// Thread-safe. A new value counts from the next question on. An agent with a long ttl asks less often than a router: while a
/// lease of 30 s decides, three seconds more or less to find a frozen etcd member do not, and an idle agent sleeps longer.
/// </remarks>
public sealed class WatchPace
{
    private static readonly TimeSpan Fastest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Slowest = TimeSpan.FromSeconds(3);

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

    /// <summary>No sign of life for this long: the endpoint is given up. Two and a half intervals.</summary>
    public TimeSpan SilenceLimit => Interval * 2.5;

    /// <summary>The interval that fits a lease: a tenth of the ttl, 1 s at least and 3 s at most.</summary>
    public static TimeSpan For(TimeSpan ttl) => ttl / 10 < Fastest ? Fastest : ttl / 10 > Slowest ? Slowest : ttl / 10;
}
