namespace Routing.Cluster;

/// <summary>The three times that the lease hangs on.</summary>
/// <param name="Ttl">Life of the lease without a renewal.</param>
/// <param name="LoopWait">The slowest heartbeat of the loop.</param>
/// <param name="RetryTimeout">Total time for one operation on the DCS, retries included.</param>
public readonly record struct Timing(TimeSpan Ttl, TimeSpan LoopWait, TimeSpan RetryTimeout)
{
    /// <summary>30 s, 10 s, 10 s.</summary>
    public static readonly Timing Default =
        new(TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(10));

    /// <summary>The minimums of Patroni: 20 s, 1 s, 3 s.</summary>
    public static readonly Timing CommonMinimum =
        new(TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(3));

    /// <summary>The minimums when every member is ours and fenced: 3 s, 1 s, 1 s.</summary>
    public static readonly Timing FencedMinimum =
        new(TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));

    /// <summary>
    /// The times in force: raised to <paramref name="minimum"/>, then bent until <c>loop_wait + 2 × retry_timeout ≤
    /// ttl</c>. The corrections have Patroni's order, so that members agree.
    /// </summary>
    public Timing Corrected(Timing minimum)
    {
        var ttl = Seconds(Ttl, minimum.Ttl);
        var loopWait = Seconds(LoopWait, minimum.LoopWait);
        var retryTimeout = Seconds(RetryTimeout, minimum.RetryTimeout);
        if (1 + (2 * retryTimeout) > ttl)
        {
            loopWait = 1;
            retryTimeout = Math.Max(1, (ttl - 1) / 2);
        }
        else if (loopWait + (2 * retryTimeout) > ttl)
        {
            loopWait = ttl - (2 * retryTimeout);
        }
        return new Timing(TimeSpan.FromSeconds(ttl), TimeSpan.FromSeconds(loopWait),
            TimeSpan.FromSeconds(retryTimeout));

        static long Seconds(TimeSpan value, TimeSpan least) => (long)Math.Max(value.TotalSeconds, least.TotalSeconds);
    }
}
