using Routing.Agent.Config;

namespace Routing.Agent.Watchdog;

/// <summary>
/// The machine's watchdog: resets the machine when the agent of a primary falls silent. It sees what the fence can't: a
/// dead kernel. Not for use from two threads at a time.
/// </summary>
internal interface IWatchdog
{
    /// <summary>
    /// Whether the node may lead as far as the watchdog goes. False only in <see cref="WatchdogMode.Required"/>: until
    /// the device was opened and fed once, and after each failure until it is again.
    /// </summary>
    bool IsUsable { get; }

    /// <summary>
    /// The machine is reset when <see cref="KeepAlive"/> stays away for this long; zero while it is inactive.
    /// </summary>
    TimeSpan Timeout { get; }

    /// <summary>One sentence for people: what does not work; null when there is nothing to complain about.</summary>
    string? Problem { get; }

    /// <summary>
    /// While no primary is guarded, again and again: opens and closes a required device of which it is not known that
    /// it works, and feeds one that cannot be stopped.
    /// </summary>
    void Rest(TimeSpan ttl, TimeSpan loopWait);

    /// <summary>
    /// Starts it, or adapts its timeout. Before the leader key is taken, and whenever ttl or loop_wait change.
    /// </summary>
    /// <returns>False when the node must not lead.</returns>
    bool TryActivate(TimeSpan ttl, TimeSpan loopWait);

    /// <summary>
    /// Starts the countdown anew: after each successful renewal of the lease or failsafe check. Nothing while inactive.
    /// </summary>
    void KeepAlive();

    /// <summary>Stops it: when PostgreSQL is down or a standby, and in a pause.</summary>
    void Disable();
}
