using System.Collections.Immutable;

namespace Routing.Cluster.Overview;

/// <summary>One line of a <see cref="ClusterOverview"/>.</summary>
public sealed record MemberOverview
{
    /// <summary>The member's name.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// <c>leader</c>, <c>standby_leader</c>, <c>sync_standby</c>, <c>quorum_standby</c> or <c>replica</c>.
    /// </summary>
    public required string Role { get; init; }

    /// <summary>
    /// The state's words; for all but the leader <c>streaming</c> or <c>in archive recovery</c> when known.
    /// </summary>
    public required string State { get; init; }

    /// <summary>Holds the leader key: it has no positions and lags, since all others are measured by it.</summary>
    public required bool IsLockHolder { get; init; }

    /// <summary>The address of its REST API, or null.</summary>
    public string? ApiUrl { get; init; }

    /// <summary>Host of its PostgreSQL; null when the member's URL can't be used.</summary>
    public string? Host { get; init; }

    /// <summary>Port of its PostgreSQL; null when the member's URL can't be used.</summary>
    public int? Port { get; init; }

    /// <summary>The site that it stands in; null when it tells none.</summary>
    public string? Site { get; init; }

    /// <summary>Its timeline, when known.</summary>
    public uint? Timeline { get; init; }

    /// <summary>A parameter change waits for a restart.</summary>
    public bool PendingRestart { get; init; }

    /// <summary>Which parameters wait for the restart.</summary>
    public ImmutableSortedDictionary<string, ParameterChange> PendingRestartReason { get; init; } =
        ImmutableSortedDictionary<string, ParameterChange>.Empty;

    /// <summary>A restart that waits for its time.</summary>
    public ScheduledRestart? ScheduledRestart { get; init; }

    /// <summary>Its tags.</summary>
    public MemberTags Tags { get; init; } = MemberTags.Empty;

    /// <summary>Received WAL; null when unknown.</summary>
    public Lsn? ReceiveLsn { get; init; }

    /// <summary>Bytes that it has not received; null when unknown.</summary>
    public long? ReceiveLagBytes { get; init; }

    /// <summary>Replayed WAL; null when unknown.</summary>
    public Lsn? ReplayLsn { get; init; }

    /// <summary>Bytes that it has not replayed; null when unknown.</summary>
    public long? ReplayLagBytes { get; init; }

    /// <summary>The later of received and replayed WAL; null when unknown.</summary>
    public Lsn? Lsn { get; init; }

    /// <summary>Bytes that it lacks; null when unknown.</summary>
    public long? LagBytes { get; init; }

    /// <summary>The line of one member.</summary>
    public static MemberOverview From(ClusterSnapshot snapshot, Member member)
    {
        var isLockHolder = snapshot.Leader?.Holder == member.Name;
        var role = RoleOf(snapshot, member, isLockHolder);
        var optime = snapshot.Status.Optime;
        return new MemberOverview
        {
            Name = member.Name,
            Role = role,
            State =
                role != "leader" && member.ReplicationState is { } replication ? replication : member.State.ToWire(),
            IsLockHolder = isLockHolder,
            ApiUrl = member.ApiUrl,
            Host = member.Address?.Host,
            Port = member.Address?.Port,
            Site = member.Site,
            Timeline = member.Timeline,
            PendingRestart = member.PendingRestart,
            PendingRestartReason = member.PendingRestartReason,
            ScheduledRestart = member.ScheduledRestart,
            Tags = member.Tags,
            ReceiveLsn = isLockHolder ? null : member.ReceiveLsn,
            ReceiveLagBytes = isLockHolder ? null : Lag(optime, member.ReceiveLsn),
            ReplayLsn = isLockHolder ? null : member.ReplayLsn,
            ReplayLagBytes = isLockHolder ? null : Lag(optime, member.ReplayLsn),
            Lsn = isLockHolder ? null : member.XlogLocation,
            LagBytes = isLockHolder ? null : Lag(optime, member.XlogLocation),
        };
    }

    private static string RoleOf(ClusterSnapshot snapshot, Member member, bool isLockHolder)
    {
        if (isLockHolder)
        {
            return snapshot.Config?.StandbyCluster is null ? "leader" : "standby_leader";
        }
        return snapshot.Sync is { IsActive: true } sync && sync.Includes(member.Name)
            ? snapshot.Config?.SynchronousMode switch
            {
                SynchronousMode.Quorum => "quorum_standby",
                SynchronousMode.Priority => "sync_standby",
                _ => "replica",
            }
            : "replica";
    }

    private static long? Lag(Lsn optime, Lsn? position) =>
        position is { } reached && optime != Cluster.Lsn.Zero ? (long)optime.BytesAheadOf(reached) : null;
}
