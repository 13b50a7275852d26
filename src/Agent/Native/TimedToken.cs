namespace Routing.Agent.Native;

/// <summary>
/// A token that ends by a clock that is handed in, or with its parent. Disposed of, it leaves no timer behind.
/// </summary>
internal sealed class TimedToken : IDisposable
{
    private readonly CancellationTokenSource _source;
    private readonly ITimer? _timer;

    private TimedToken(TimeSpan? delay, TimeProvider? time, CancellationToken parent)
    {
        _source = CancellationTokenSource.CreateLinkedTokenSource(parent);
        if (delay is { } after)
        {
            _timer = time!.CreateTimer(static state => Cancel((CancellationTokenSource)state!), _source, after,
                Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>The token.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>The longest time that a timer takes: 49 days.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromDays(49);

    /// <summary>
    /// Cancelled after <paramref name="delay"/> (<see cref="Longest"/> at most), or with <paramref name="parent"/>.
    /// </summary>
    public static TimedToken After(TimeSpan delay, TimeProvider time, CancellationToken parent) =>
        new(delay < Longest ? delay : Longest, time, parent);

    /// <summary>Cancelled with <paramref name="parent"/> alone.</summary>
    public static TimedToken With(CancellationToken parent) => new(null, null, parent);

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer?.Dispose();
        _source.Dispose();
    }

    private static void Cancel(CancellationTokenSource source)
    {
        try
        {
            source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The work ended in the same moment.
        }
    }
}
