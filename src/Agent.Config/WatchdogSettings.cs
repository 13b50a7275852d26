namespace Routing.Agent.Config;

/// <summary>How much depends on a watchdog device.</summary>
public enum WatchdogMode
{
    /// <summary>None is used.</summary>
    Off,

    /// <summary>One is used when it is there.</summary>
    Automatic,

    /// <summary>Without one this node never leads.</summary>
    Required,
}

/// <summary><c>watchdog</c>.</summary>
public sealed record WatchdogSettings
{
    /// <summary><c>mode</c>. Default automatic.</summary>
    public WatchdogMode Mode { get; init; } = WatchdogMode.Automatic;

    /// <summary><c>device</c>. Default <c>/dev/watchdog</c>.</summary>
    public string Device { get; init; } = "/dev/watchdog";

    /// <summary>
    /// <c>safety_margin</c>: the device fires this long before the lease ends; null (-1): at half of the lease. Default
    /// 5 s.
    /// </summary>
    public TimeSpan? SafetyMargin { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary><c>driver: testing</c>: the device is a named pipe, which a test reads. Default false.</summary>
    public bool IsPipe { get; init; }

    /// <summary>The device's time-out for a lease of <paramref name="ttl"/>.</summary>
    public TimeSpan TimeoutFor(TimeSpan ttl) =>
        SafetyMargin is { } margin ? ttl - margin : TimeSpan.FromSeconds((long)ttl.TotalSeconds / 2);
}
