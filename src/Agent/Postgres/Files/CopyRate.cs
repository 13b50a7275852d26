namespace Routing.Agent.Postgres.Files;

/// <summary>The bytes per second of the last ten seconds: a copy that slows down is told soon.</summary>
internal sealed class CopyRate(TimeProvider time)
{
    private static readonly TimeSpan s_window = TimeSpan.FromSeconds(10);

    private readonly Queue<(long At, long Bytes)> _seen = [];

    /// <summary>The rate when so many bytes are there now; 0 before it is known.</summary>
    public long After(long bytes)
    {
        var now = time.GetTimestamp();
        while (_seen.TryPeek(out var oldest) && time.GetElapsedTime(oldest.At, now) > s_window)
        {
            _seen.Dequeue();
        }
        var rate = 0L;
        if (_seen.TryPeek(out var first)
            && time.GetElapsedTime(first.At, now) is var elapsed && elapsed > TimeSpan.Zero)
        {
            rate = (long)Math.Max(0, (bytes - first.Bytes) / elapsed.TotalSeconds);
        }
        _seen.Enqueue((now, bytes));
        return rate;
    }
}
