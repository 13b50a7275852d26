using System.Collections.Immutable;
using System.Text.Json;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Tests.Rest;

/// <summary>
/// Members in the states that load balancers meet. Each look makes a new one: their leases run from that moment.
/// </summary>
internal static class Nodes
{
    private static readonly TimeProvider s_time = TimeProvider.System;

    public static AgentStatus Primary => Base("pg-a") with
    {
        Role = Role.Primary,
        LeaderUntil = In(TimeSpan.FromMinutes(5)),
        Term = new Term(42),
        Postgres = new LocalPostgres
        {
            Data = DataDirectory.Ready,
            Server = ServerState.Running,
            IsPrimary = true,
            Timeline = 4,
            WalPosition = new Lsn(117441000),
            ServerVersion = 170005,
            PostmasterStart = new DateTimeOffset(2026, 7, 20, 6, 0, 1, 221, TimeSpan.Zero),
            Standbys = [
                new StandbyRow("pg-b", "replicator", "10.1.0.12", "streaming", "quorum", 1, null, null, null, null)],
        },
    };

    public static AgentStatus Replica => Base("pg-b") with
    {
        Role = Role.Replica,
        Postgres = new LocalPostgres
        {
            Data = DataDirectory.Ready,
            Server = ServerState.Running,
            Timeline = 4,
            ReceivedLsn = new Lsn(117441000),
            ReplayedLsn = new Lsn(117440000),
            LatestEndLsn = new Lsn(117441000),
            WalPosition = new Lsn(117441000),
            IsStreaming = true,
            ServerVersion = 170005,
            PostmasterStart = new DateTimeOffset(2026, 7, 20, 6, 0, 2, TimeSpan.Zero),
        },
    };

    public static AgentStatus SyncStandby => InSync(Replica, SynchronousMode.Priority);

    public static AgentStatus QuorumStandby => InSync(Replica, SynchronousMode.Quorum);

    public static AgentStatus NoLoadBalance => Replica with { Tags = Tags(("noloadbalance", "true")) };

    public static AgentStatus StandbyLeader => Replica with
    {
        Role = Role.StandbyLeader,
        LeaderUntil = In(TimeSpan.FromMinutes(5)),
        Config =
            DynamicConfig.Default
                with { StandbyCluster = new StandbyClusterConfig("10.2.0.1", 5432, null, null, [], null, null) },
    };

    public static AgentStatus ExpiredPrimary => Primary with { LeaderUntil = In(TimeSpan.FromMilliseconds(-1)) };

    public static AgentStatus LeaderWithoutServer => Primary with
    {
        State = PostgresState.Crashed,
        Postgres = Primary.Postgres with { Server = ServerState.Stopped, IsPrimary = false, Standbys = [] },
    };

    public static ImmutableSortedDictionary<string, AgentStatus> ByLetter => new Dictionary<string, AgentStatus>
    {
        ["P"] = Primary,
        ["R"] = Replica,
        ["S"] = SyncStandby,
        ["Q"] = QuorumStandby,
        ["N"] = NoLoadBalance,
        ["L"] = StandbyLeader,
        ["X"] = ExpiredPrimary,
        ["D"] = LeaderWithoutServer,
    }.ToImmutableSortedDictionary();

    public static AgentStatus Silent(AgentStatus status) => status with { IsDcsSilent = true };

    public static AgentStatus Paused(AgentStatus status) =>
        status with { Config = status.Config with { Pause = true } };

    public static MemberTags Tags(params (string Name, string Json)[] tags) => new(tags.ToImmutableSortedDictionary(
        tag => tag.Name, tag => JsonElement.Parse(tag.Json), StringComparer.Ordinal));

    public static long In(TimeSpan time) =>
        s_time.GetTimestamp() + (long)(time.TotalSeconds * s_time.TimestampFrequency);

    private static AgentStatus Base(string name) => new()
    {
        Scope = "pay",
        Name = name,
        State = PostgresState.Running,
        Cluster = ClusterSnapshot.Empty with
        {
            Revision = 50,
            Leader = new LeaderKey("pg-a", new Term(42), 42, 7),
            Status = LeaderStatus.None with { Optime = new Lsn(117441000) },
        },
        ClusterConfirmedAt = In(TimeSpan.Zero),
        ClusterConfirmedTime = DateTimeOffset.FromUnixTimeSeconds(1784534400),
        NextRunAt = In(TimeSpan.FromMinutes(5)),
        SystemId = "7412345678901234567",
        Timing = new Timing(TimeSpan.FromMinutes(5), TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(10)),
        ReasonCode = "follows",
        Reason = "follows pg-a",
    };

    private static AgentStatus InSync(AgentStatus status, SynchronousMode mode) => status with
    {
        Config = DynamicConfig.Default with { SynchronousMode = mode },
        Cluster =
            status.Cluster! with { Sync =
                SyncState.None with { Leader = "pg-a", Standbys = SyncState.None.Standbys.Add(status.Name) } },
    };
}
