using System.Collections.Immutable;
using System.Net;
using Routing.Cluster;

namespace Routing.Proxy.Routes;

/// <summary>Knows where a new session of a listener goes, waits for better times, and learns from what happened.</summary>
/// <remarks>All members are thread-safe; none blocks.</remarks>
internal interface IRouter
{
    /// <summary>
    /// The member that a new session of this listener goes to now. Counts as an attempt in progress until the returned ticket
    /// is disposed of, so that least-connections spreads a burst.
    /// </summary>
    /// <param name="listener">The listener's name.</param>
    /// <param name="tried">Members that this session has tried already at the given state of the topology; they come last.</param>
    RouteChoice Choose(string listener, IReadOnlyCollection<string> tried);

    /// <summary>
    /// Waits in the listener's bounded first-in-first-out queue until a session may be routed, and chooses. After a change of
    /// target those who wait are let through paced, oldest first.
    /// </summary>
    /// <returns>A target; or a refusal: queue full (at once), hold time over, or draining.</returns>
    ValueTask<RouteChoice> HoldAsync(string listener, IReadOnlyCollection<string> tried, CancellationToken cancellationToken);

    /// <summary>The members that a session of this listener can be at now; a silent one is left out.</summary>
    ImmutableArray<RouteTarget> TargetsOf(string listener);

    /// <summary>Tells how an attempt ended: feeds ejection, slow start and the verification of roles.</summary>
    void Report(RouteTarget target, AttemptResult result);

    /// <summary>
    /// Called after the table has changed, from the topology's thread: be quick. Sessions whose target or term is no longer
    /// right for their listener are to be cut; see <see cref="Judge"/>.
    /// </summary>
    event Action? Changed;

    /// <summary>Whether a session that runs on <paramref name="target"/> may stay there.</summary>
    SessionVerdict Judge(string listener, RouteTarget target);
}

/// <summary>Where a session goes.</summary>
/// <param name="Member">The member's name: also its label in metrics.</param>
/// <param name="Addresses">All addresses of its name, in the order in which they are tried; at least one.</param>
/// <param name="HostName">Its name as published, for verifying its certificate.</param>
/// <param name="Term">The term of the leader at the time of the choice.</param>
/// <param name="MustBePrimary">A login that reports <c>in_hot_standby = on</c> is to be refused and tried again.</param>
internal sealed record RouteTarget(string Member, ImmutableArray<EndPoint> Addresses, string HostName, Term Term, bool MustBePrimary);

/// <summary>A target, or the reason why there is none.</summary>
/// <param name="Target">Null: none.</param>
/// <param name="Reason">Machine-readable: no_leader, no_replica, topology_unknown, queue_full, hold_timeout, draining.</param>
/// <param name="Sentence">For the client: what is, and what to do.</param>
/// <param name="Ticket">To be disposed of when the session (or the attempt) is over; null without a target.</param>
internal readonly record struct RouteChoice(RouteTarget? Target, string Reason, string Sentence, IDisposable? Ticket);

/// <summary>How an attempt to log in at a member ended.</summary>
internal enum AttemptResult
{
    /// <summary>The server's first answer of a login was relayed, and its role fits.</summary>
    Good,

    /// <summary>Refused by the kernel, unreachable, reset.</summary>
    ConnectFailed,

    /// <summary>No answer in time.</summary>
    TimedOut,

    /// <summary>57P03 and its relatives: starting, stopping.</summary>
    NotReady,

    /// <summary>53300: no free slot.</summary>
    Full,

    /// <summary>A standby answered where the primary was expected.</summary>
    WrongRole,

    /// <summary>TLS refused or not verified.</summary>
    TlsFailed,
}

/// <summary>What becomes of a running session after a change of the table.</summary>
internal enum SessionVerdict
{
    /// <summary>It stays.</summary>
    Stay,

    /// <summary>Its member is not the leader any more (write), has left or is down: end it now, at a message boundary.</summary>
    CutNow,

    /// <summary>Its member does not fit any more (promoted, lags, left): end it when it is at rest, within the grace period.</summary>
    CutAtRest,

    /// <summary>
    /// It is a reader at the leader, and a replica takes logins again: end it at rest, but not before it has stayed for
    /// <see cref="Sessions.SessionSettings.FallbackStay"/>.
    /// </summary>
    MoveBack,
}
