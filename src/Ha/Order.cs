using Routing.Cluster;

namespace Routing.Ha;

/// <summary>
/// What an operator asks this member for. One order is open at a time, until its job begins or it is refused.
/// </summary>
/// <param name="Id">A number that no other order of this agent has.</param>
public abstract record Order(long Id);

/// <summary>Restart PostgreSQL, now.</summary>
/// <param name="Id">The order's number.</param>
/// <param name="Filter">PostgreSQL is restarted only if this holds.</param>
/// <param name="Timeout">How long the start may take; null: <c>primary_start_timeout</c>.</param>
public sealed record RestartOrder(long Id, RestartFilter Filter, TimeSpan? Timeout) : Order(Id);

/// <summary>Replace the local data by a copy of another member, whatever they are.</summary>
/// <param name="Id">The order's number.</param>
/// <param name="Force">The job that runs is ended for it.</param>
/// <param name="FromLeader">
/// Copy the leader, by <c>pg_basebackup</c>; otherwise from the source and by the method that a new member would use.
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

    /// <summary>The restart or the copy would fail; the detail says why.</summary>
    Failed,
}
