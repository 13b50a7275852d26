namespace Routing.Agent.Loop;

/// <summary>A cancellation source that ends by a clock that is handed in, or with its parent.</summary>
internal static class TimedToken
{
    /// <summary>Cancelled after <paramref name="delay"/>, or with <paramref name="parent"/>.</summary>
    public static CancellationTokenSource After(TimeSpan delay, TimeProvider time, CancellationToken parent)
    {
        var source = CancellationTokenSource.CreateLinkedTokenSource(parent);
        var timer = time.CreateTimer(static state => Cancel((CancellationTokenSource)state!), source, delay, Timeout.InfiniteTimeSpan);
        source.Token.Register(static state => ((ITimer)state!).Dispose(), timer);
        return source;
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
