namespace Routing.Proxy.Routes;

/// <summary>What becomes of a running session after a change of the table.</summary>
internal enum SessionVerdict
{
    /// <summary>The session stays.</summary>
    Stay,

    /// <summary>
    /// Its member is about to hand over (see <see cref="IntentHold"/>): it comes to rest, and nothing of its client's
    /// passes until that is over.
    /// </summary>
    Hold,

    /// <summary>
    /// Its member is not the leader any more (write), has left or is down: end it now, at a message boundary.
    /// </summary>
    CutNow,

    /// <summary>
    /// Its member does not fit any more (promoted, lags, left): end it when it is at rest, within the grace period.
    /// </summary>
    CutAtRest,

    /// <summary>
    /// It is a reader at the leader, and a replica takes logins again: end it at rest, but not before it has stayed for
    /// <see cref="Configuration.SessionSettings.FallbackStay"/>.
    /// </summary>
    MoveBack,
}
