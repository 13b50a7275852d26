using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Health;

namespace Routing.Agent.Status;

/// <summary>
/// Everything that the agent tells about itself, as its loop last published it: swapped whole, never changed.
/// </summary>
/// <remarks>
/// REST and metrics compute every answer from this record, the clock and nothing else, so that no answer waits for
/// PostgreSQL, for the DCS or for a loop that hangs. Timestamps are those of <see cref="TimeProvider.GetTimestamp"/>.
/// </remarks>
internal sealed record AgentStatus
{
    /// <summary>The cluster's name.</summary>
    public required string Scope { get; init; }

    /// <summary>This member's name.</summary>
    public required string Name { get; init; }

    /// <summary>The site that it stands in; null: none is configured.</summary>
    public string? Site { get; init; }

    /// <summary>The newest snapshot that was seen; null before the first.</summary>
    public ClusterSnapshot? Cluster { get; init; }

    /// <summary>
    /// Timestamp at which <see cref="Cluster"/> was last known to be the present state; null before the first read.
    /// </summary>
    public long? ClusterConfirmedAt { get; init; }

    /// <summary>The time of <see cref="ClusterConfirmedAt"/> by the wall clock, for display.</summary>
    public DateTimeOffset? ClusterConfirmedTime { get; init; }

    /// <summary>
    /// The last attempt to reach the DCS failed: <see cref="Cluster"/> is not to be trusted for synchronous roles.
    /// </summary>
    public bool IsDcsSilent { get; init; }

    /// <summary>The dynamic configuration in force (the last good one while the DCS is silent).</summary>
    public DynamicConfig Config { get; init; } = DynamicConfig.Default;

    /// <summary>The times in force, after their correction.</summary>
    public Timing Timing { get; init; } = Timing.Default;

    /// <summary>The local server as it was last observed.</summary>
    public LocalPostgres Postgres { get; init; } = new();

    /// <summary>What is wrong with the local server though its process runs.</summary>
    public HealthProblem Health { get; init; }

    /// <summary>When <see cref="Postgres"/> was asked.</summary>
    public long ObservedAt { get; init; }

    /// <summary>A standby that does not stream and fetches WAL from the archive.</summary>
    public bool IsInArchiveRecovery { get; init; }

    /// <summary>The state as published in the member key.</summary>
    public PostgresState State { get; init; } = PostgresState.Unknown;

    /// <summary>The role as published in the member key.</summary>
    public Role Role { get; init; } = Role.Uninitialized;

    /// <summary>
    /// Until when this member believes that it leads; null when it does not. Now is before it: leader.
    /// </summary>
    public long? LeaderUntil { get; init; }

    /// <summary>The term of the leader key as last seen.</summary>
    public Term Term { get; init; }

    /// <summary>The effective tags, as published.</summary>
    public MemberTags Tags { get; init; } = MemberTags.Empty;

    /// <summary>When the loop plans its next run at the latest.</summary>
    public long NextRunAt { get; init; }

    /// <summary>Why the required watchdog cannot be used; null when there is nothing to complain about.</summary>
    public string? WatchdogProblem { get; init; }

    /// <summary>Why the local data must never lead, in one sentence; null when nothing is known against them.</summary>
    public string? Damage { get; init; }

    /// <summary>The member that held the leader key last, as far as this one has seen; null: none.</summary>
    public string? LastLeader { get; init; }

    /// <summary>
    /// The longest ttl that was in force in the present term, and at least the minimum of every member: a consent binds
    /// no longer.
    /// </summary>
    public TimeSpan LongestTtl { get; init; } = Timing.Default.Ttl;

    /// <summary>What the leader last told through the failsafe endpoint; null for never.</summary>
    public FailsafeNotice? Failsafe { get; init; }

    /// <summary>
    /// This member leads by failsafe alone until then (all members accepted while the DCS was silent); null when it
    /// does not.
    /// </summary>
    public long? FailsafeUntil { get; init; }

    /// <summary>The database system identifier, when known.</summary>
    public string? SystemId { get; init; }

    /// <summary>A restart that waits for its time.</summary>
    public ScheduledRestart? ScheduledRestart { get; init; }

    /// <summary>The code of the last decision.</summary>
    public string ReasonCode { get; init; } = "";

    /// <summary>The sentence of the last decision.</summary>
    public string Reason { get; init; } = "";

    /// <summary>
    /// What the last run saw, with what it remembered after; null before the first. For questions that begin there.
    /// </summary>
    public Observation? Seen { get; init; }

    /// <summary>The long job that runs beside the loop; null for none.</summary>
    public JobView? Job { get; init; }

    /// <summary>How far the members lagged in the last minutes.</summary>
    public LagHistory Lags { get; init; } = LagHistory.Empty;

    /// <summary>What the fence does.</summary>
    public FenceState Fence { get; init; }

    /// <summary>Phases of the last change of leader that this member took part in, with their durations.</summary>
    public ImmutableArray<FailoverPhase> LastFailover { get; init; } = [];

    /// <summary>Whether the leadership belief holds.</summary>
    public bool IsLeader(long now) => LeaderUntil is { } until && now < until;

    /// <summary>The view of the cluster is at most one ttl old and the DCS answers.</summary>
    public bool IsClusterFresh(long now, TimeProvider time) =>
        !IsDcsSilent && Cluster is not null && ClusterConfirmedAt is { } at
            && time.GetElapsedTime(at, now) <= Timing.Ttl;

    /// <summary>Failsafe holds: this member leads by it, or heard from such a leader within the last ttl.</summary>
    public bool IsFailsafeActive(long now, TimeProvider time) =>
        (FailsafeUntil is { } until && now < until)
        || (Failsafe is { } notice && notice.Left(Timing.Ttl, now, time) > TimeSpan.Zero);

    /// <summary>The cluster follows another one.</summary>
    public bool IsStandbyCluster => Config.StandbyCluster is not null || Role == Role.StandbyLeader;

    /// <summary><c>streaming</c>, <c>in archive recovery</c>, or null: only of a standby that answers.</summary>
    public string? ReplicationState =>
        !IsAnswering || Postgres.IsPrimary ? null
        : Postgres.IsStreaming ? "streaming"
        : IsInArchiveRecovery ? "in archive recovery"
        : null;

    /// <summary>The server answered the last monitoring query.</summary>
    public bool IsAnswering => Postgres.Server == ServerState.Running;
}

/// <summary>What a leader that lost the DCS told this member.</summary>
/// <param name="Name">The leader's name.</param>
/// <param name="ConnUrl">Where its PostgreSQL is.</param>
/// <param name="ApiUrl">Where its REST is.</param>
/// <param name="Slots">Its replication slots and their positions; null when it sent none.</param>
/// <param name="ReceivedAt">Timestamp of the message.</param>
internal sealed record FailsafeNotice(
    string Name, string ConnUrl, string ApiUrl, ImmutableSortedDictionary<string, Lsn>? Slots, long ReceivedAt)
{
    /// <summary>
    /// How long this member is bound by its consent, whatever the ttl is changed to meanwhile; null: one ttl, as
    /// nothing else is known.
    /// </summary>
    public TimeSpan? Binds { get; init; }

    /// <summary>What follows from a message.</summary>
    /// <param name="message">The message.</param>
    /// <param name="ttl">
    /// The ttl in force here. The leader's may be another one: it is cut off, and may not know the newest
    /// configuration, or we may not.
    /// </param>
    /// <param name="before">What this member is bound by already, perhaps for longer.</param>
    /// <param name="time">The clock.</param>
    public static FailsafeNotice Of(FailsafeMessage message, TimeSpan ttl, FailsafeNotice? before, TimeProvider time)
    {
        var now = time.GetTimestamp();
        var binds = message.Ttl > ttl ? message.Ttl.Value : ttl;
        var left = before?.Left(ttl, now, time) ?? TimeSpan.Zero;
        return new(message.Name, message.ConnUrl, message.ApiUrl, message.Slots,
            now) { Binds = left > binds ? left : binds };
    }

    /// <summary>
    /// Reads how long a consent counts, in seconds; null when that is missing or nobody can mean it: one that never
    /// ends would end every failover.
    /// </summary>
    public static TimeSpan? Seconds(JsonElement container, string name) =>
        container.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number
            && value.TryGetDouble(out var seconds)
        && seconds is > 0 and <= 86_400
            ? TimeSpan.FromSeconds(seconds)
            : null;

    /// <summary>How long this member is still bound; zero or less: not any more.</summary>
    public TimeSpan Left(TimeSpan ttl, long now, TimeProvider time) =>
        (Binds ?? ttl) - time.GetElapsedTime(ReceivedAt, now);
}

/// <summary>The fence as the agent sees it; the number is the metric's value.</summary>
internal enum FenceState
{
    /// <summary>No fence runs.</summary>
    None,

    /// <summary>The fence runs and guards nothing: this member is no primary.</summary>
    Idle,

    /// <summary>The fence runs and would stop the primary at its deadline.</summary>
    Armed,
}

/// <summary>One phase of a change of leader.</summary>
/// <param name="Name"><c>detected</c>, <c>lease_free</c>, <c>elected</c>, <c>promoted</c>…</param>
/// <param name="Duration">How long it took.</param>
internal sealed record FailoverPhase(string Name, TimeSpan Duration);
