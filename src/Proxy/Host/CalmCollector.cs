namespace Routing.Proxy.Host;

/// <summary>Gives back the memory that logins took, once a burst of them is over.</summary>
/// <remarks>
/// A login allocates several times what its idle session needs. Relays allocate nothing, so that after a burst no
/// collection would come by itself for hours, and the garbage would be the larger part of what the process holds.
/// </remarks>
internal sealed class CalmCollector : IDisposable
{
    /// <summary>Garbage that is worth a collection, bytes: that of about a thousand logins.</summary>
    private const long WorthIt = 4 * 1024 * 1024;

    /// <summary>A second in which less than this was allocated is calm, bytes.</summary>
    private const long Calm = 128 * 1024;

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    private readonly Func<long> _allocated;
    private readonly Action _collect;
    private readonly ITimer _timer;
    private long _collectedAt;
    private long _lookedAt;

    /// <summary>Looks once a second from now on.</summary>
    /// <param name="time">The clock.</param>
    /// <param name="allocated">Bytes that were allocated since the process began.</param>
    /// <param name="collect">Collects everything and gives what is free back to the system.</param>
    public CalmCollector(TimeProvider time, Func<long> allocated, Action collect)
    {
        (_allocated, _collect) = (allocated, collect);
        _collectedAt = _lookedAt = allocated();
        _timer = time.CreateTimer(static self => ((CalmCollector)self!).Look(), this, s_interval, s_interval);
    }

    /// <summary>
    /// Looks at this process. A collection stops all threads: for 5 ms with a thousand sessions, 8 ms with nine
    /// thousand.
    /// </summary>
    public static CalmCollector Start(TimeProvider time) => new(
        time, static () => GC.GetTotalAllocatedBytes(),
        static () => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true));

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        var allocated = _allocated();
        var isCalm = allocated - _lookedAt < Calm;
        _lookedAt = allocated;
        if (isCalm && allocated - _collectedAt >= WorthIt)
        {
            _collectedAt = allocated;
            _collect();
        }
    }
}
