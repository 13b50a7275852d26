using Routing.Cluster;

namespace Routing.Agent.Status;

/// <summary>One status at one moment, with the facts that every health answer is made of.</summary>
internal readonly struct HealthView
{
    public HealthView(AgentStatus status, TimeProvider time)
    {
        Status = status;
        Now = time.GetTimestamp();
        IsLeader = status.IsLeader(Now);
        Cluster = status.IsClusterFresh(Now, time) ? status.Cluster : null;
        IsFailsafeActive = status.IsFailsafeActive(Now, time);
        State = status is { State: PostgresState.Running, IsAnswering: false } ? PostgresState.Unknown : status.State;
        Role = !status.IsAnswering ? status.Role
            : status.Postgres.IsPrimary ? Role.Primary
            : status is { IsStandbyCluster: true, Role: Role.StandbyLeader } ? Role.StandbyLeader
            : Role.Replica;
        Age = time.GetElapsedTime(status.ObservedAt, Now);
        var untilNextRun = time.GetElapsedTime(Now, status.NextRunAt);
        var grace = status.Timing.Ttl * (this is { Role: Role.Primary, State: PostgresState.Running } ? 1 : 2);
        IsAlive = status.Config.Pause || untilNextRun + grace > TimeSpan.Zero;
    }

    /// <summary>What the loop published.</summary>
    public AgentStatus Status { get; }

    /// <summary>The moment.</summary>
    public long Now { get; }

    /// <summary>The leadership belief holds. Says nothing about PostgreSQL.</summary>
    public bool IsLeader { get; }

    /// <summary>The snapshot, when it is fresh enough to be believed; else null.</summary>
    public ClusterSnapshot? Cluster { get; }

    /// <summary>Failsafe holds.</summary>
    public bool IsFailsafeActive { get; }

    /// <summary>The state to show: unknown when the server should run and does not answer.</summary>
    public PostgresState State { get; }

    /// <summary>The role to show: by recovery while the server answers, else the one that was published.</summary>
    public Role Role { get; }

    /// <summary>How old the observation of the server is.</summary>
    public TimeSpan Age { get; }

    /// <summary>The loop runs on time.</summary>
    public bool IsAlive { get; }

    /// <summary>A synchronous standby, by the cluster's state.</summary>
    public bool IsSyncStandby => IsNamedInSync && Status.Config.SynchronousMode == SynchronousMode.Priority;

    /// <summary>A voter of the quorum.</summary>
    public bool IsQuorumStandby => IsNamedInSync && Status.Config.SynchronousMode == SynchronousMode.Quorum;

    /// <summary>
    /// The end of the WAL as far as this member knows: by the status key and by its own WAL receiver.
    /// </summary>
    public Lsn KnownEnd => Lsn.Max(Cluster?.Status.Optime ?? Lsn.Zero, LatestEnd);

    /// <summary>The end of the WAL by the own WAL receiver.</summary>
    public Lsn LatestEnd => Status.IsAnswering ? Status.Postgres.LatestEndLsn : Lsn.Zero;

    /// <summary>What was replayed.</summary>
    public Lsn Replayed => Status.IsAnswering ? Status.Postgres.ReplayedLsn : Lsn.Zero;

    /// <summary>What was received, or at least replayed.</summary>
    /// <remarks>The position that other members compare with theirs: see <see cref="IsPositionKnown"/>.</remarks>
    public Lsn Received =>
        Status.IsAnswering && Status.Postgres.ReceivedLsn != Lsn.Zero ? Status.Postgres.ReceivedLsn : Replayed;

    /// <summary>
    /// False until the end of the local WAL was read: then the status document names no position, for each that is
    /// named counts as a vote for all that have as much, also with members of other versions.
    /// </summary>
    public bool IsPositionKnown => Status is not { IsAnswering: true, Postgres.IsWalEndUnknown: true };

    private bool IsNamedInSync =>
        Role == Role.Replica && Cluster?.Sync is { IsActive: true } sync && sync.Standbys.Contains(Status.Name);
}
