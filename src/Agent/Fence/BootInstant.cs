using Routing.Agent.Native;

namespace Routing.Agent.Fence;

/// <summary>
/// An instant of CLOCK_BOOTTIME, the one clock that two processes share, that nobody can set, and that goes on while
/// the machine is suspended: the lease in the DCS goes on then, too.
/// </summary>
internal readonly record struct BootInstant(long Nanoseconds) : IComparable<BootInstant>
{
    public static BootInstant Now => new(Libc.Nanoseconds(Libc.CLOCK_BOOTTIME));

    public int CompareTo(BootInstant other) => Nanoseconds.CompareTo(other.Nanoseconds);

    public static bool operator <(BootInstant left, BootInstant right) => left.Nanoseconds < right.Nanoseconds;

    public static bool operator >(BootInstant left, BootInstant right) => left.Nanoseconds > right.Nanoseconds;

    public static bool operator <=(BootInstant left, BootInstant right) => left.Nanoseconds <= right.Nanoseconds;

    public static bool operator >=(BootInstant left, BootInstant right) => left.Nanoseconds >= right.Nanoseconds;

    public static BootInstant operator +(BootInstant instant, TimeSpan span) =>
        new(instant.Nanoseconds + (span.Ticks * 100));

    public static TimeSpan operator -(BootInstant left, BootInstant right) =>
        new((left.Nanoseconds - right.Nanoseconds) / 100);
}
