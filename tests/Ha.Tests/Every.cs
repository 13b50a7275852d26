using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster;
using Routing.Cluster.Keys;

namespace Routing.Ha.Tests;

/// <summary>All small observations of member <c>a</c> in a cluster of <c>a</c>, <c>b</c> and <c>c</c>.</summary>
internal static class Every
{
    public static readonly TimeSpan Now = TimeSpan.FromSeconds(1000);

    private static readonly string?[] s_leaders = [null, "a", "b"];

    private static readonly TimeSpan s_ttl = TimeSpan.FromSeconds(30);

    private static readonly LeaseView[] s_leases =
    [
        default,
        new(false, default, TimeSpan.Zero, IsUncertain: true, s_ttl),
        new(true, new Term(50), TimeSpan.FromSeconds(20), false, s_ttl),
        new(true, new Term(50), TimeSpan.FromSeconds(2), false, s_ttl),
        new(true, new Term(50), TimeSpan.FromSeconds(-1), true, s_ttl),
    ];

    private static readonly FailoverRequest?[] s_requests =
    [
        null,
        new("a", "b", null, 70),
        new("a", null, null, 70),
        new(null, "a", null, 70),
        new(null, "b", null, 70),
    ];

    private static readonly Order[] s_orders =
        [new RestartOrder(1, RestartFilter.None, null), new ReinitializeOrder(2, Force: true, FromLeader: true)];

    /// <summary>The departed member <c>d</c> still runs as a primary.</summary>
    private static readonly PeerAnswers s_departedAlive = Answers(100, false) with
    {
        Reports = Answers(100, false).Reports.Add(
            "d", new PeerReport("d", true, IsPrimary: true, new Lsn(200), 1) { Role = Role.Primary }),
    };

    private static readonly PeerAnswers?[] s_peers =
        [null, Answers(100, false), Answers(300, false), Answers(200, true), Answers(200, false, reachable: false),
            s_departedAlive];

    public static IEnumerable<Observation> Observation()
    {
        DynamicConfig[] configs = [.. Configs()];
        LoopMemory[] memories = [.. Memories()];
        foreach (var local in Locals())
        {
            foreach (var leader in s_leaders)
            {
                foreach (var lease in s_leases)
                {
                    foreach (var isLive in new[] { true, false })
                    {
                        foreach (var request in s_requests)
                        {
                            foreach (var config in configs)
                            {
                                var seen = Of(local, leader, lease, isLive, request, config);
                                foreach (var peers in s_peers)
                                {
                                    foreach (var memory in memories)
                                    {
                                        yield return seen with { Peers = peers, Memory = memory };
                                    }
                                }
                                foreach (var kind in Enum.GetValues<JobKind>().Where(kind => kind != JobKind.Demote))
                                {
                                    yield return seen
                                        with { Job = new JobView(kind, Now - TimeSpan.FromSeconds(1), "started") };
                                }
                                foreach (var demotion in Enum.GetValues<DemoteMode>())
                                {
                                    var job = new JobView(JobKind.Demote, Now - TimeSpan.FromSeconds(1),
                                        "started") { Demotion = demotion };
                                    yield return seen with { Job = job };
                                    yield return seen with { Job = job, ShutdownRequested = true };
                                }
                                yield return seen with { ShutdownRequested = true };
                                foreach (var order in s_orders)
                                {
                                    yield return seen with { Order = order };
                                    yield return seen with { Order = order,
                                        Job = new JobView(JobKind.Follow, Now, "started") };
                                    yield return seen with { Order = order, ShutdownRequested = true };
                                }
                                yield return seen with { Job =
                                    new JobView(JobKind.Restart, Now, "started") { RestartsPrimary = true } };
                            }
                        }
                    }
                }
            }
        }
    }

    public static DynamicConfig Config(string json) => DynamicConfigReader.Read(JsonElement.Parse(json), 10);

    public static ControlFile Control(string systemId = "7000000000000000001") =>
        new(systemId, ControlState.InProduction, 1, new Lsn(150), default, 0, true, true);

    public static Member Member(string name, Role role) => new()
    {
        Name = name,
        ConnUrl = $"postgres://{name}:5432/postgres",
        Address = new HostPort(name, 5432),
        ApiUrl = $"http://{name}:8008/patroni",
        State = PostgresState.Running,
        Role = role,
        LeaseId = 1,
        Routing = new RoutingExtension("1", true),
    };

    public static PeerAnswers Answers(ulong position, bool isPrimary, bool reachable = true) => new(
        Now - TimeSpan.FromMilliseconds(100), Now - TimeSpan.FromMilliseconds(90),
        new[] { "b", "c" }.ToImmutableSortedDictionary(
            name => name,
            name => reachable
                ? new PeerReport(name, true, isPrimary && name == "b", new Lsn(position),
                    1) { Role = isPrimary && name == "b" ? Role.Primary : Role.Replica }
                : PeerReport.Unreachable(name, "no answer"),
            StringComparer.Ordinal));

    public static Observation Of(
        LocalPostgres local, string? leader, LeaseView lease, bool isLive = true, FailoverRequest? request = null,
        DynamicConfig? config = null)
    {
        config ??= Config("{}");
        return new Observation
        {
            Self = "a",
            Cluster = ClusterSnapshot.Empty with
            {
                Revision = 100,
                Leader = leader is null ? null : new LeaderKey(leader, new Term(50), 50, 1),
                Config = config,
                Initialize = new InitializeKey("7000000000000000001"),
                Failover = request,
                Sync = config.SynchronousMode == SynchronousMode.Off
                    ? SyncState.None
                    : new SyncState(leader ?? "b", SyncState.None.Standbys.Add(leader == "a" ? "b" : "a"), 0, 60),
                Status = LeaderStatus.None with { Optime = new Lsn(200) },
                Members = ImmutableSortedDictionary<string, Member>.Empty.WithComparers(StringComparer.Ordinal)
                    .Add("a", Member("a", leader == "a" ? Role.Primary : Role.Replica))
                    .Add("b", Member("b", leader == "b" ? Role.Primary : Role.Replica))
                    .Add("c", Member("c", Role.Replica)),
            },
            IsDcsLive = isLive,
            Config = config,
            Timing = Timing.Default,
            Local = local,
            Lease = lease,
            Now = Now,
            Clock = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero),
            Failsafe = config.FailsafeMode
                ? new FailsafeView(TimeSpan.FromSeconds(20), Now - TimeSpan.FromSeconds(1), null, default)
                : default,
        };
    }

    public static LocalPostgres Server(ServerState state, bool isPrimary, bool isStreaming = false) => new()
    {
        Data = DataDirectory.Ready,
        Control = Control(),
        Server = state,
        IsPrimary = isPrimary,
        HasRecoverySignal = !isPrimary,
        Timeline = 1,
        WalPosition = new Lsn(200),
        IsStreaming = isStreaming,
        Following = isPrimary ? null : new Upstream(new HostPort("b", 5432), "a"),
        PostmasterPid = state == ServerState.Stopped ? 0 : 77,
        CheckpointedSincePromotion = isPrimary,
        RewindPossible = true,
    };

    private static IEnumerable<LocalPostgres> Locals()
    {
        yield return new LocalPostgres { Data = DataDirectory.Empty };
        yield return new LocalPostgres { Data = DataDirectory.Inaccessible, DataProblem = "cannot be read" };
        foreach (var data in new[] { DataDirectory.Empty, DataDirectory.Inaccessible, DataDirectory.Ready })
        {
            // A server goes on though its directory was emptied, locked or damaged.
            yield return Server(ServerState.Unresponsive, isPrimary: true) with { Data = data, Control = null,
                DataProblem = "it is damaged" };
            yield return Server(ServerState.Unresponsive, isPrimary: false) with { Data = data, Control = null,
                DataProblem = "it is damaged" };
        }
        yield return Server(ServerState.Stopped, isPrimary: false);
        yield return Server(ServerState.Stopped, isPrimary: true) with { IsPrimary = false };
        foreach (var damage in new[] { DataDamage.Diverged, DataDamage.HalfRewound, DataDamage.ToBeReplaced })
        {
            yield return Server(ServerState.Stopped, isPrimary: false) with { Damage = damage };
            yield return Server(ServerState.Running, isPrimary: false) with { Damage = damage };
        }
        yield return Server(ServerState.Starting, isPrimary: false);
        yield return Server(ServerState.Starting, isPrimary: true) with { IsPrimary = false };
        yield return Server(ServerState.Unresponsive, isPrimary: true) with { SessionsHaveEnded = true };
        foreach (var state in new[] { ServerState.Running, ServerState.Unresponsive })
        {
            yield return Server(state, isPrimary: true);
            yield return Server(state, isPrimary: false);
            yield return Server(state, isPrimary: false, isStreaming: true);
        }
    }

    private static IEnumerable<DynamicConfig> Configs()
    {
        yield return Config("""{"standby_cluster":{"host":"far"}}""");
        yield return Config("""{"standby_cluster":{"restore_command":"fetch %f %p"},"failsafe_mode":true}""");
        yield return Config("""{"standby_cluster":{"host":"far"},"synchronous_mode":true,"pause":true}""");
        foreach (var mode in new[] { "false", "true", "\"quorum\"" })
        {
            foreach (var pause in new[] { "false", "true" })
            {
                foreach (var failsafe in new[] { "false", "true" })
                {
                    yield return Config(
                        $$"""{"synchronous_mode":{{mode}},"pause":{{pause}},"failsafe_mode":{{failsafe}}}""");
                }
            }
        }
    }

    private static IEnumerable<LoopMemory> Memories()
    {
        foreach (var divergence in Enum.GetValues<DivergenceState>())
        {
            yield return new LoopMemory
            {
                Divergence = divergence,
                DivergenceTerm = new Term(50),
                UnlockedSince = Now - TimeSpan.FromSeconds(1),
                Request = (70, Now - TimeSpan.FromSeconds(1)),
                NotStreamingSince = Now - TimeSpan.FromSeconds(5),
            };
        }
        yield return new LoopMemory
        {
            DivergenceTerm = new Term(50),
            UnlockedSince = Now - TimeSpan.FromSeconds(3),
            Members = KnownMembers.None with
            {
                Leader = "d",
                Departed = KnownMembers.None.Departed.Add(
                    "d", new DepartedMember(Member("d", Role.Primary), Now - TimeSpan.FromSeconds(3), true, true)),
            },
        };
    }
}
