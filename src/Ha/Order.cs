using Routing.Cluster;

namespace Routing.Ha;

/// <summary>
/// What an operator asks this member for. One is open at a time; it is open until its job begins, or it is refused.
/// </summary>
/// <param name="Id">Tells it from others.</param>
public abstract record Order(long Id);

/// <summary>Restart PostgreSQL, now.</summary>
/// <param name="Id">Tells it from others.</param>
/// <param name="Filter">Only if this holds.</param>
/// <param name="Timeout">How long the start may take; null: <c>primary_start_timeout</c>.</param>
public sealed record RestartOrder(long Id, RestartFilter Filter, TimeSpan? Timeout) : Order(Id);

/// <summary>Replace the local data by a copy of another member, whatever they are.</summary>
/// <param name="Id">Tells it from others.</param>
/// <param name="Force">End the job that runs.</param>
/// <param name="FromLeader">
/// Copy the leader, by <c>pg_basebackup</c>; else the member and the way that a new member would take.
/// </param>
public sealed record ReinitializeOrder(long Id, bool Force, bool FromLeader) : Order(Id);

/// <summary>Why an order is not carried out.</summary>
public enum OrderRefusal
{
    /// <summary>The filter of a restart does not hold.</summary>
    ConditionsNotMet,

    /// <summary>Another job runs; the detail is its name.</summary>
    Busy,

    /// <summary>PostgreSQL has not started yet.</summary>
    StillStarting,

    /// <summary>No member leads, so there is nothing to copy.</summary>
    NoLeader,

    /// <summary>This member leads: its data are the cluster's.</summary>
    IsLeader,

    /// <summary>It would fail; the detail says why.</summary>
    Failed,
}
