namespace Routing.Proxy.Sessions.Joined;

/// <summary>Counts up to a limit that may change; any thread.</summary>
internal sealed class SessionCounter
{
    private int _count;

    /// <summary>How many there are.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Takes a place.</summary>
    /// <param name="limit">0: no limit.</param>
    /// <returns>False, and nothing taken, when there are as many as allowed.</returns>
    public bool TryTake(int limit)
    {
        if (Interlocked.Increment(ref _count) <= limit || limit == 0)
        {
            return true;
        }
        Interlocked.Decrement(ref _count);
        return false;
    }

    /// <summary>Counts without a limit.</summary>
    public void Add(int change) => Interlocked.Add(ref _count, change);

    /// <summary>Gives a place back.</summary>
    public void Release() => Interlocked.Decrement(ref _count);
}
