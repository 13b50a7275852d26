namespace Routing.Proxy.Sessions.Joined;

/// <summary>Something that must not last for ever.</summary>
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
    /// Its time is over. On a timer's thread; must be quick. May come again until it is taken off the list.
    /// </summary>
    internal abstract void Expire();
}
