namespace Routing.Agent.Fence;

/// <summary>The guard that ends PostgreSQL when this agent can't prove in time that it may be primary.</summary>
/// <remarks>
/// Order of calls: <see cref="EnsureRunningAsync"/>; <see cref="Arm"/> before PostgreSQL may accept writes (promotion,
/// or right after the start of a primary); <see cref="ExtendUntil"/> after each renewal of the lease;
/// <see cref="Disarm"/> once it is stopped or a standby for certain. All but the first are quick and may be called from
/// any thread.
/// </remarks>
internal interface IFence
{
    /// <summary>
    /// Whether the fence lives, looked around within the last seconds, and holds the postmaster if it is armed and that
    /// one still runs.
    /// </summary>
    bool IsGuarding { get; }

    /// <summary>Whether an order to end a postmaster stands.</summary>
    bool IsArmed { get; }

    /// <summary>The postmaster of that order; 0: none stands, or the postmaster has ended.</summary>
    int ArmedPid { get; }

    /// <summary>What the fence last did, also for an earlier agent; null when it never had to act.</summary>
    FencingReport? LastFencing { get; }

    /// <summary>
    /// Finds the fence of an earlier agent or starts one. Cheap when it runs; call it in each run of the loop.
    /// </summary>
    /// <exception cref="IOException">The fence can't be started; the message says why.</exception>
    ValueTask EnsureRunningAsync(CancellationToken cancellationToken);

    /// <summary>From now on the postmaster must be gone when the deadline has passed.</summary>
    /// <param name="postmasterPid">The postmaster.</param>
    /// <param name="postmasterStart">Its <see cref="Native.ProcessStat.StartTicks"/>.</param>
    /// <param name="deadline">
    /// A timestamp of the <see cref="TimeProvider"/>: the lease's end less the safety margin.
    /// </param>
    void Arm(int postmasterPid, ulong postmasterStart, long deadline);

    /// <summary>
    /// Moves the deadline. False when nothing is armed, or when it was too late: the fence has begun to act.
    /// </summary>
    /// <param name="deadline">
    /// A timestamp of the <see cref="TimeProvider"/>, counted from before the renewal was sent.
    /// </param>
    bool ExtendUntil(long deadline);

    /// <summary>Moves the deadline of an order that stands to this one, if it is the earlier.</summary>
    void BringForward(long deadline);

    /// <summary>Takes the order back: PostgreSQL is left alone.</summary>
    void Disarm();

    /// <summary>True once the fence holds the armed postmaster; false when it does not within the bound.</summary>
    ValueTask<bool> WaitUntilGuardingAsync(TimeSpan bound, CancellationToken cancellationToken);

    /// <summary>Disarms and lets the fence end: the agent stops for good and leaves no primary behind.</summary>
    void Dismiss();
}
