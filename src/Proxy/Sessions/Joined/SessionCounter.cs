namespace Routing.Proxy.Sessions.Joined;

/// <summary>Counts up to a limit that may change; any thread.</summary>
internal sealed class SessionCounter
{
    private int _count;

    /// <summary>How many connections are counted now.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Takes a place.</summary>
    /// <param name="limit">0: no limit.</param>
    /// <returns>False, and nothing taken, when there are as many as allowed.</returns>
    public bool TryTake(int limit)
    {
        // Never above the limit, not even for a moment: another one would be refused for a place that is free.
        for (var seen = Count; limit == 0 || seen < limit;)
        {
            var before = Interlocked.CompareExchange(ref _count, seen + 1, seen);
            if (before == seen)
            {
                return true;
            }
            seen = before;
        }
        return false;
    }

    /// <summary>Whether there are fewer than allowed; 0: no limit.</summary>
    public bool HasRoom(int limit) => limit == 0 || Count < limit;

    /// <summary>Counts without a limit.</summary>
    public void Add(int change) => Interlocked.Add(ref _count, change);

    /// <summary>Gives a place back.</summary>
    public void Release() => Interlocked.Decrement(ref _count);
}
