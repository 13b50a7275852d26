using Routing.Cluster;

namespace Routing.Agent.Loop;

/// <summary>
/// What stands behind a primary and stops it when its lease runs out: the fence, and a watchdog where there is one.
/// </summary>
internal interface IPrimaryGuard
{
    /// <summary>Before the leader key is taken: starts the watchdog, where there is one.</summary>
    /// <returns>False when this member must not lead: a required watchdog cannot be used.</returns>
    bool Prepare(Timing timing);

    /// <summary>Guard this postmaster: it is, or is about to become, a primary. Repeating it is free.</summary>
    void Arm(int postmasterPid);

    /// <summary>The postmaster may run until this deadline and no longer; a shorter lease brings it forward.</summary>
    void Adopt(Conviction conviction);

    /// <summary>
    /// Whatever is guarded, also by the order of an earlier agent, runs until this deadline at the latest; never puts
    /// one back.
    /// </summary>
    void BringForward(long deadline);

    /// <summary>The postmaster that is guarded, also by the order of an earlier agent; 0: none is.</summary>
    int ArmedPid { get; }

    /// <summary>No primary runs here any more: stand down. Repeating it is free.</summary>
    void Disarm();

    /// <summary>A required watchdog cannot be used: why; null when all is well.</summary>
    string? WatchdogProblem { get; }

    /// <summary>
    /// The last part of a lease of this ttl, in which an active watchdog may reset the machine; zero while none is
    /// active.
    /// </summary>
    TimeSpan ReserveOf(TimeSpan ttl);

    /// <summary>The fence runs, so that short leases are safe.</summary>
    bool IsFenced { get; }
}
