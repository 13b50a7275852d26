using Routing.Proxy.Members;

namespace Routing.Proxy.Routes;

/// <summary>A target, or the reason why there is none.</summary>
/// <param name="Target">Null: none.</param>
/// <param name="Reason">Why there is no target; <see cref="RouteReason.Found"/> with one.</param>
/// <param name="Sentence">For the client: what is, and what to do.</param>
/// <param name="Ticket">To be disposed of when the session (or the attempt) is over; null without a target.</param>
internal readonly record struct RouteChoice(
    RouteTarget? Target, RouteReason Reason, string Sentence, IDisposable? Ticket)
{
    /// <summary>There is no target.</summary>
    public static RouteChoice None(RouteReason reason, string sentence) => new(null, reason, sentence, null);
}

/// <summary>Why a choice came out as it did.</summary>
internal enum RouteReason
{
    /// <summary>There is a target.</summary>
    Found,

    /// <summary>There is no primary.</summary>
    NoLeader,

    /// <summary>No member serves readers.</summary>
    NoReplica,

    /// <summary>The cluster is not known yet.</summary>
    TopologyUnknown,

    /// <summary>As many sessions wait as may.</summary>
    QueueFull,

    /// <summary>The session has waited for as long as it may.</summary>
    HoldTimeout,

    /// <summary>The proxy is shutting down.</summary>
    Draining,
}
