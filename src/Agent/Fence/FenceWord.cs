namespace Routing.Agent.Fence;

/// <summary>
/// The order that the agent gives the fence, in one 64-bit number so that it is read and written whole: which
/// postmaster must be gone when which instant passes. Zero is "disarmed: never touch anything".
/// </summary>
/// <param name="Value">
/// 22 bits of process number (Linux has no larger ones), above them 42 bits of milliseconds.
/// </param>
internal readonly record struct FenceWord(long Value)
{
    private const int PidBits = 22;
    private const long PidMask = (1L << PidBits) - 1;
    private const long MaximumMilliseconds = (1L << (63 - PidBits)) - 1;   // 69 years after boot

    public static FenceWord Disarmed => default;

    public static FenceWord Armed(int postmasterPid, BootInstant deadline)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(postmasterPid);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(postmasterPid, (int)PidMask);
        // Rounded down: a fence may be a millisecond early, never late. 0 would mean disarmed, 1 means firing.
        var milliseconds =
            deadline == default ? 1 : Math.Clamp(deadline.Nanoseconds / 1_000_000, 2, MaximumMilliseconds);
        return new FenceWord((milliseconds << PidBits) | (uint)postmasterPid);
    }

    /// <summary>The fence has begun to act on that postmaster: no agent may extend this any more.</summary>
    public static FenceWord Firing(int postmasterPid) => Armed(postmasterPid, default);

    public bool IsArmed => Value != 0;

    public bool IsFiring => Value >> PidBits == 1;

    public int PostmasterPid => (int)(Value & PidMask);

    public BootInstant Deadline => new((Value >> PidBits) * 1_000_000);
}
