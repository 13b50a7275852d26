using System.Collections.Immutable;

namespace Routing.Cluster;

/// <summary>One node of the cluster, as it describes itself under <c>members/NAME</c>.</summary>
public sealed record Member
{
    /// <summary>The member's name: the last part of its key.</summary>
    public required string Name { get; init; }

    /// <summary><c>conn_url</c>: <c>postgres://host:port/database</c>, without credentials.</summary>
    public string? ConnUrl { get; init; }

    /// <summary>
    /// Host and port of <see cref="ConnUrl"/> (5432 when it names none), or null when it cannot be used.
    /// </summary>
    public HostPort? Address { get; init; }

    /// <summary><c>api_url</c>: <c>http(s)://host:port/patroni</c>.</summary>
    public string? ApiUrl { get; init; }

    /// <summary><c>proxy_url</c>, when the member has a pooler in front of it.</summary>
    public string? ProxyUrl { get; init; }

    /// <summary>The site that it stands in, such as a data centre; null when it tells none.</summary>
    public string? Site { get; init; }

    /// <summary>State of its PostgreSQL.</summary>
    public PostgresState State { get; init; } = PostgresState.Unknown;

    /// <summary>The role that it reports.</summary>
    public Role Role { get; init; }

    /// <summary>The version of Patroni that the member is compatible with, such as 4.1.4; empty when missing.</summary>
    public string Version { get; init; } = "";

    /// <summary>True while the checkpoint after its promotion is not finished: not yet a source for a rewind.</summary>
    public bool CheckpointAfterPromotePending { get; init; }

    /// <summary>Its tags.</summary>
    public MemberTags Tags { get; init; } = MemberTags.Empty;

    /// <summary>A parameter change waits for a restart.</summary>
    public bool PendingRestart { get; init; }

    /// <summary>Which parameters wait for the restart.</summary>
    public ImmutableSortedDictionary<string, ParameterChange> PendingRestartReason { get; init; } =
        ImmutableSortedDictionary<string, ParameterChange>.Empty;

    /// <summary>Primary: flushed WAL; standby: the later of received and replayed. Null while not running.</summary>
    public Lsn? XlogLocation { get; init; }

    /// <summary>Standby: received WAL.</summary>
    public Lsn? ReceiveLsn { get; init; }

    /// <summary>Standby: replayed WAL.</summary>
    public Lsn? ReplayLsn { get; init; }

    /// <summary><c>streaming</c>, <c>in archive recovery</c>, or null.</summary>
    public string? ReplicationState { get; init; }

    /// <summary>Its timeline, when known.</summary>
    public uint? Timeline { get; init; }

    /// <summary>A restart that waits for its time.</summary>
    public ScheduledRestart? ScheduledRestart { get; init; }

    /// <summary>This member has seen that the cluster is paused.</summary>
    public bool Pause { get; init; }

    /// <summary>Our own field, null for members of other versions.</summary>
    public RoutingExtension? Routing { get; init; }

    /// <summary>The lease that the key hangs on; 0 for none.</summary>
    public long LeaseId { get; init; }

    /// <summary>The revision of the key's last write.</summary>
    public long ModRevision { get; init; }

    /// <summary>The name of the replication slot that this member uses.</summary>
    public string SlotName => ReplicationSlotName.FromMember(Name);
}
