using Routing.Agent.Config;

namespace Routing.Agent.Watchdog;

/// <summary>
/// The machine's watchdog: resets the machine when the agent of a primary falls silent. It sees what the fence can't: a dead
/// kernel. Not for use from two threads at a time.
/// </summary>
internal interface IWatchdog
{
    /// <summary>Whether the node may lead as far as the watchdog goes. False only in <see cref="WatchdogMode.Required"/>.</summary>
    bool IsUsable { get; }

    /// <summary>Whether the machine would be reset if <see cref="KeepAlive"/> stayed away.</summary>
    bool IsActive { get; }

    /// <summary>One sentence for people: what does not work; null when there is nothing to complain about.</summary>
    string? Problem { get; }

    /// <summary>Looks whether it could be activated with these times, without starting it; sets <see cref="Problem"/>.</summary>
    bool Check(TimeSpan ttl, TimeSpan loopWait);

    /// <summary>Starts it, or adapts its timeout. Before the promotion, and whenever ttl or loop_wait change.</summary>
    /// <returns>False when the node must not lead.</returns>
    bool TryActivate(TimeSpan ttl, TimeSpan loopWait);

    /// <summary>Starts the countdown anew: after each successful renewal of the lease or failsafe check. Nothing while inactive.</summary>
    void KeepAlive();

    /// <summary>Stops it: at the safepoint of a stop, in pause, before a start as a replica.</summary>
    void Disable();
}
