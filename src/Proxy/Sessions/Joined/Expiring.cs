namespace Routing.Proxy.Sessions.Joined;

/// <summary>Something that ends at a deadline.</summary>
internal abstract class Expiring
{
    private long _deadline = long.MaxValue;

    /// <summary>Its place in the list; only the list touches it.</summary>
    internal int Place { get; set; } = -1;

    /// <summary>The timestamp at which it is told; <see cref="long.MaxValue"/>: never.</summary>
    internal long Deadline
    {
        get => Volatile.Read(ref _deadline);
        set => Volatile.Write(ref _deadline, value);
    }

    /// <summary>
    /// Takes the deadline off when it has passed, so that each is told once. One that was set anew since it was looked
    /// at stays.
    /// </summary>
    internal bool TryTake(long now)
    {
        var seen = Deadline;
        return seen <= now && Interlocked.CompareExchange(ref _deadline, long.MaxValue, seen) == seen;
    }

    /// <summary>Its time is over. On a timer's thread; must be quick.</summary>
    internal abstract void Expire();
}
