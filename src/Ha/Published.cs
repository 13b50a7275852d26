using Routing.Cluster;

namespace Routing.Ha;

/// <summary>The words for state and role that a member publishes of itself.</summary>
public static class Published
{
    /// <summary>The state of its PostgreSQL.</summary>
    public static PostgresState State(Observation o) => o switch
    {
        { Job.Kind: JobKind.Clone or JobKind.Reinitialize or JobKind.Restore or JobKind.PutBack } =>
            PostgresState.CreatingReplica,
        { Job.Kind: JobKind.Bootstrap, IsStandbyCluster: true, Local.HasProcess: false } =>
            PostgresState.CreatingReplica,
        { Job.Kind: JobKind.Bootstrap, Local.Server: ServerState.Running } => PostgresState.Running,
        { Job.Kind: JobKind.Bootstrap, Local.HasProcess: true } => PostgresState.Starting,
        { Job.Kind: JobKind.Bootstrap } => PostgresState.Initdb,
        { Memory.BootstrapFailure: not null } => PostgresState.InitdbFailed,
        { Job.Kind: JobKind.Restart }
            or { Job.Kind: JobKind.CopySlots, Local.Server: not ServerState.Running } => PostgresState.Restarting,
        { Job.Kind: JobKind.Demote, Local.HasProcess: true } => PostgresState.Stopping,
        { Job.Kind: JobKind.StartPrimary or JobKind.StartStandby, Local.Server: not ServerState.Running } =>
            PostgresState.Starting,
        { Local.Server: ServerState.Running or ServerState.Unresponsive } => PostgresState.Running,
        { Local.Server: ServerState.Starting } => PostgresState.Starting,
        { Memory.RestartFailed: true } => PostgresState.RestartFailed,
        { Memory.StartFailure: not null } or { Memory.FailedStandbyStarts: > 0 } => PostgresState.StartFailed,
        { Memory: { HasRun: true, Demoted: false, SteppedDownAt: null }, ShutdownRequested: false, Paused: false,
            Local.Data: DataDirectory.Ready }
            when o.Memory.Divergence != DivergenceState.Diverged => PostgresState.Crashed,
        _ => PostgresState.Stopped,
    };

    /// <summary><c>streaming</c>, <c>in archive recovery</c>, or null when neither is known.</summary>
    public static string? ReplicationState(Observation o) => o.Local switch
    {
        { IsStandby: false } => null,
        { IsStreaming: true } => "streaming",
        { HasRestoreCommand: true } => "in archive recovery",
        _ => null,
    };

    /// <summary>
    /// Whom its WAL receiver streams from: the member, or host and port of a server that is none. Null: it does not
    /// stream.
    /// </summary>
    public static string? Upstream(Observation o) =>
        o.Local is { IsStandby: true, IsStreaming: true } local
            && (local.Sender ?? local.Following?.Address) is { } from
            ? o.Cluster?.Members.Values.FirstOrDefault(member => member.Address == from && member.Name != o.Self)?.Name
                ?? from.ToString()
            : null;

    /// <summary>The member whose data this member copies; null: none.</summary>
    public static string? CopiesFrom(Observation o) =>
        o.Job is { Kind: JobKind.Clone or JobKind.Reinitialize, Source: { } source } ? source : null;

    /// <summary>The role that this member publishes.</summary>
    public static Role Role(Observation o) => o switch
    {
        { Local.Data: DataDirectory.Empty }
            or { Job.Kind: JobKind.Clone or JobKind.Reinitialize or JobKind.Bootstrap } => Cluster.Role.Uninitialized,
        // The server has written its last WAL record, and only waits until its standbys have received it.
        { Job.Kind: JobKind.Demote, Local: { IsPrimary: true, Control.State: ControlState.ShutDown } }
            when o.Leader != o.Self => Cluster.Role.Demoted,
        { Local.Server: ServerState.Running or ServerState.Unresponsive, Local.IsPrimary: true } =>
            Cluster.Role.Primary,
        { Local.Server: ServerState.Running or ServerState.Unresponsive, Job.Kind: JobKind.Promote } =>
            Cluster.Role.Promoted,
        { Local.Server: ServerState.Running or ServerState.Unresponsive, Leader: { } leader }
            when leader == o.Self && (o.IsStandbyCluster || HaLoop.IsHeldByRemote(o)) => Cluster.Role.StandbyLeader,
        { Local.Server: ServerState.Running or ServerState.Unresponsive } => Cluster.Role.Replica,
        { Memory.Demoted: true } => Cluster.Role.Demoted,
        { Local.HasRecoverySignal: true } => Cluster.Role.Replica,
        { Leader: { } leader } when leader == o.Self => Cluster.Role.Primary,
        _ => Cluster.Role.Demoted,
    };
}
