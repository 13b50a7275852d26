using Routing.Cluster;

namespace Routing.Ha;

/// <summary>What another member told about itself when it was asked directly.</summary>
/// <param name="Name">The member.</param>
/// <param name="Reachable">The peer answered. When false, everything else holds its default.</param>
/// <param name="IsPrimary">Its server is not in recovery.</param>
/// <param name="Position">
/// Primary: where it writes; standby: the later of received and replayed. 0/0 when unknown.
/// </param>
/// <param name="Timeline">Its timeline; 0 when unknown.</param>
/// <param name="NoFailover">The peer must not lead.</param>
/// <param name="FailoverPriority">Larger wins at equal WAL; 0: must not lead; 1 when it reports none.</param>
/// <param name="WatchdogFailed">The peer needs a watchdog and has none, so it cannot lead.</param>
public sealed record PeerReport(
    string Name,
    bool Reachable,
    bool IsPrimary = false,
    Lsn Position = default,
    uint Timeline = 0,
    bool NoFailover = false,
    int FailoverPriority = 1,
    bool WatchdogFailed = false)
{
    /// <summary>The role that it reports; unknown when it reports none.</summary>
    public Role Role { get; init; }

    /// <summary>The state of its PostgreSQL that it reports.</summary>
    public PostgresState State { get; init; } = PostgresState.Unknown;

    /// <summary>The system identifier of its database, when it reports one.</summary>
    public string? SystemId { get; init; }

    /// <summary>
    /// How old its position was when it answered; null: it looked while it answered (members of other versions do).
    /// </summary>
    public TimeSpan? Age { get; init; }

    /// <summary>The peer has seen that the cluster is paused: no guard stops its server then.</summary>
    public bool Paused { get; init; }

    /// <summary>Why its data must never lead, in one sentence; null when it knows of nothing against them.</summary>
    public string? Damage { get; init; }

    /// <summary>Why it could not be asked, in one sentence; null when it answered.</summary>
    public string? Problem { get; init; }

    /// <summary>A member that did not answer.</summary>
    public static PeerReport Unreachable(string name, string problem) => new(name, false) { Problem = problem };
}
