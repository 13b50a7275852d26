namespace Routing.Agent.Fence;

/// <summary>Turns timestamps of a <see cref="TimeProvider"/> into instants of the boot clock.</summary>
/// <remarks>
/// The two clocks differ by the time that the machine was suspended (on Linux, timestamps are of CLOCK_MONOTONIC, which
/// stands still meanwhile). A timestamp does not tell whether a suspension came after it, so the difference used is the
/// smaller of the one seen now and the one seen at the call before: a deadline counted from before a suspension is not
/// moved by it.
/// </remarks>
internal sealed class BootClock(TimeProvider time)
{
    private readonly Lock _lock = new();
    private long _lastOffset = long.MaxValue;

    public BootInstant At(long timestamp)
    {
        lock (_lock)
        {
            // The boot clock first: if we are frozen between the two readings, the offset comes out smaller, not
            // larger.
            var boot = BootInstant.Now.Nanoseconds;
            var offset = boot - Nanoseconds(time.GetTimestamp());
            var used = Math.Min(offset, _lastOffset);
            _lastOffset = offset;
            return new BootInstant(Nanoseconds(timestamp) + used);
        }
    }

    private long Nanoseconds(long timestamp) =>
        (long)((Int128)timestamp * 1_000_000_000 / time.TimestampFrequency);
}
