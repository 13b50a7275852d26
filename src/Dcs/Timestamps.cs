namespace Routing.Dcs;

/// <summary>Spans on the monotonic clock of a <see cref="TimeProvider"/>.</summary>
public static class Timestamps
{
    /// <summary>A span in the unit of <see cref="TimeProvider.GetTimestamp"/>.</summary>
    public static long TimestampsIn(this TimeProvider time, TimeSpan span)
    {
        ArgumentNullException.ThrowIfNull(time);
        return (long)(span.TotalSeconds * time.TimestampFrequency);
    }

    /// <summary>The timestamp at which a span that begins now is over.</summary>
    public static long TimestampAfter(this TimeProvider time, TimeSpan span)
    {
        ArgumentNullException.ThrowIfNull(time);
        return time.GetTimestamp() + time.TimestampsIn(span);
    }
}
