using System.Collections.Immutable;
using Routing.Agent.Loop;
using Routing.Agent.Postgres;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;
using Routing.Ha;

namespace Routing.Simulation.Tests;

/// <summary>A member of a mixed cluster that runs Patroni: a model of its loop by its documented behaviour.</summary>
/// <remarks>
/// Modelled: one run per loop_wait over one read of the DCS; one lease for both keys, renewed with the run; demotion
/// when the DCS is silent or the leader update is refused; the race with its order of checks; one long job beside the
/// loop; failsafe mode; requests; pause. Not modelled: synchronous mode, bootstrap of a new cluster, watchdog, slots,
/// timelines reserved by us.
/// </remarks>
#pragma warning disable CA1001 // A process that is killed disposes of nothing; its life here ends with its SimProcess.
internal sealed partial class SimPatroni : SimMember
#pragma warning restore CA1001
{
    private static readonly TimeSpan s_restTimeout = TimeSpan.FromSeconds(2);

    private readonly SimCluster _cluster;
    private readonly SimNode _node;
    private readonly SimPostgres _postgres;
    private readonly SimPeers _peers;
    private readonly TimeProvider _time;
    private readonly LoopSignal _signal;
    private MemberTags _tags;
    private DynamicConfig _config;
    private Timing _timing;
    private ClusterSnapshot? _locked;
    private LocalPostgres _local = new();
    private (string Name, long At)? _failsafePing;
    private long _lease;
    private TimeSpan _leaseTtl;
    private string? _job;
    private bool _checkDivergence = true;
    private bool _stop;
    private bool _isHung;
    private string _reason = "starts";

    public SimPatroni(SimCluster cluster, SimNode node, SimProcess process, SimClock time)
        : base(process, cluster.Dcs.Connect(node.Name))
    {
        (_cluster, _node, _time, _tags) = (cluster, node, time, node.Tags);
        Store.RequestTimeout = TimeSpan.FromSeconds(2);
        Store.AnswerDelay = () => cluster.World.Between(0.3, 6);
        _postgres = new SimPostgres(cluster.World, cluster.Network, node.Server, time, cluster.Options)
        {
            TakesOver = what => cluster.Invariants.TakesOver(node, what),
        };
        _peers = new SimPeers(cluster.World, cluster.Network, node.Name, time, cluster.Nodes);
        _signal = new LoopSignal(time);
        _config = DynamicConfigReader.Read(cluster.ConfigElement, 0);
        _timing = _config.Timing.Corrected(Timing.CommonMinimum);
    }

    public override string Reason => $"(Patroni) {_reason}";

    private string Self => _node.Name;

    private bool IsPrimary => _local is { Server: ServerState.Running or ServerState.Unresponsive, IsPrimary: true };

    public override void Start() => Process.Run(() => _ = RunAsync());

    public override void Wake() => Process.Run(_signal.Wake);

    public override void Stop() => Process.Run(() =>
    {
        _stop = true;
        _signal.Wake();
    });

    public override void Adopt(MemberTags tags) => _tags = tags;

    /// <summary>Its loop hangs in some call; its REST goes on answering.</summary>
    public void Hang() => (_isHung, IsBehind) = (true, true);

    public void GoOn() => _isHung = false;

    /// <summary>Its loop has hung, and has not run to its end since.</summary>
    public bool IsBehind { get; private set; }

    public override PeerReport Report()
    {
        // It asks its server while it answers.
        var server = _node.Server;
        return new PeerReport(
            Self, Reachable: true, server.AcceptsWrites, server.Life == Life.Up ? new Lsn(server.End) : Lsn.Zero,
            server.Life == Life.Up ? server.Timeline : 0, _tags.NoFailover, _tags.FailoverPriority)
        {
            Role = server.AcceptsWrites ? Role.Primary : Role.Replica,
            State = server.Life == Life.Up ? PostgresState.Running : PostgresState.Stopped,
            Paused = _config.Pause,
        };
    }

    public override FailsafeReply ReceiveFailsafe(FailsafeMessage message)
    {
        if (_node.Server.AcceptsWrites)
        {
            return new FailsafeReply(Self, false, null, "Running as a leader", Refused: true);
        }
        _failsafePing = (message.Name, _time.GetTimestamp());
        return new FailsafeReply(Self, true, new Lsn(_node.Server.End), "Accepted");
    }

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                var began = _time.GetTimestamp();
                if (!await RunOnceAsync())
                {
                    break;
                }
                var pause = _timing.LoopWait + (IsPrimary ? TimeSpan.Zero : TimeSpan.FromSeconds(0.5))
                    - _time.GetElapsedTime(began);
                await _signal.SleepAsync(
                    pause > TimeSpan.Zero ? pause : TimeSpan.FromMilliseconds(1), CancellationToken.None);
            }
        }
        catch (Exception problem)
        {
            _cluster.Invariants.Violated($"the modelled Patroni of {Self} broke: {problem}");
            return;
        }
        _node.AgentEnded(this, 0);
    }

    /// <returns>False: it ends.</returns>
    private async Task<bool> RunOnceAsync()
    {
        while (_isHung)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), _time);
        }
        _local = await _postgres.ObserveAsync(CancellationToken.None);
        try
        {
            var cluster = await RetryAsync(token => Store.ReadAsync(token));
            if (cluster.Config is { } config)
            {
                (_config, _timing) = (config, config.Timing.Corrected(Timing.CommonMinimum));
            }
            var leader = cluster.Leader?.Holder;
            if (leader is not null)
            {
                _locked = cluster;
            }
            else if (_config.FailsafeMode && _failsafePing is { } ping && _time.GetElapsedTime(ping.At) < _timing.Ttl)
            {
                leader = ping.Name;
            }
            await TouchMemberAsync();
            if (_stop)
            {
                await ShutDownAsync(leader == Self);
                return false;
            }
            await ActAsync(cluster, leader);
        }
        catch (ClusterStoreException)
        {
            await WithoutDcsAsync();
        }
        IsBehind = _isHung;
        return true;
    }

    private async Task ActAsync(ClusterSnapshot cluster, string? leader)
    {
        if (_job is not null)
        {
            Say($"is busy: {_job}");
            if (leader == Self && !await UpdateLockAsync() && IsPrimary && !_config.Pause)
            {
                await DemoteAsync(StopMode.Immediate);
            }
            return;
        }
        if (_local.Data == DataDirectory.Empty)
        {
            await ReleaseIfHeldAsync(leader);
            if (!_config.Pause && leader is not null
                && cluster.Members.GetValueOrDefault(leader) is { Role: Role.Primary } source)
            {
                var plan = new ClonePlan(source);
                Begin("copies the leader",
                    async () => (await _postgres.CloneAsync(plan, s_silent, CancellationToken.None)).Ok);
            }
        }
        else if (cluster.Initialize.SystemId is { } id && id != _local.Control?.SystemId)
        {
            Say("belongs to another cluster");
            await ReleaseIfHeldAsync(leader);
        }
        else if (_local.Server == ServerState.Stopped)
        {
            await RecoverAsync(cluster, leader);
        }
        else if (_local.Server == ServerState.Starting)
        {
            Say("starts");
            if (leader == Self && !await UpdateLockAsync())
            {
                await DemoteAsync(StopMode.Immediate);
            }
        }
        else if (leader is null)
        {
            await RaceAsync(cluster);
        }
        else if (leader == Self)
        {
            await LeadAsync(cluster);
        }
        else
        {
            await FollowAsync(cluster, leader);
        }
    }

    private async Task RecoverAsync(ClusterSnapshot cluster, string? leader)
    {
        if (_config.Pause)
        {
            await ReleaseIfHeldAsync(leader);
        }
        else if (leader == Self)
        {
            if (await UpdateLockAsync())
            {
                var asPrimary = !_local.HasRecoverySignal;
                Begin(
                    "starts",
                    async () =>
                        await _postgres.StartAsync(new StartPlan(asPrimary, null, null), CancellationToken.None)
                            == StartOutcome.Running);
            }
        }
        else if (leader is null || cluster.Members.GetValueOrDefault(leader)?.Address is not { } address)
        {
            Begin("starts without a leader", () => StartStandbyAsync(null));
        }
        else if (_checkDivergence)
        {
            Begin("compares", () => RejoinAsync(cluster.Members[leader]));
        }
        else
        {
            Begin("starts as a standby", () => StartStandbyAsync(new Upstream(address, null)));
        }
    }

    private async Task<bool> StartStandbyAsync(Upstream? upstream) =>
        await _postgres.StartAsync(new StartPlan(false, upstream, null), CancellationToken.None)
            == StartOutcome.Running;

    /// <summary>Compares with the leader; rewinds, or copies it, where the data have diverged.</summary>
    private async Task<bool> RejoinAsync(Member leader)
    {
        var result = await _postgres.CheckDivergenceAsync(leader, CancellationToken.None);
        if (result.Divergence == Divergence.CannotTell)
        {
            return false;
        }
        if (result.Divergence == Divergence.Diverged)
        {
            var healed = leader.CheckpointAfterPromotePending ? StepResult.Failed("waits for the leader's checkpoint")
                : _local.RewindPossible ? await _postgres.RewindAsync(leader, s_silent, CancellationToken.None)
                : await _postgres.CloneAsync(new ClonePlan(leader), s_silent, CancellationToken.None);
            if (!healed.Ok)
            {
                return false;
            }
        }
        _checkDivergence = false;
        return true;
    }

    private async Task FollowAsync(ClusterSnapshot cluster, string leader)
    {
        if (IsPrimary)
        {
            Say($"is a primary, and {leader} leads");
            if (!_config.Pause)
            {
                await DemoteAsync(StopMode.Immediate);
            }
            return;
        }
        Say($"follows {leader}");
        if (cluster.Members.GetValueOrDefault(leader) is not { Address: { } address } member)
        {
            return;
        }
        if (!_config.Pause && !_local.IsStreaming && member.Role == Role.Primary
            && _local.Following?.Address == address)
        {
            Begin("compares", () => RejoinAsync(member));
        }
        else if (_local.Following?.Address != address)
        {
            await _postgres.FollowAsync(new Upstream(address, null), CancellationToken.None);
        }
    }

    private static readonly IProgress<string> s_silent = new Silence();

    private void Begin(string job, Func<Task<bool>> work)
    {
        _job = job;
        Say(job);
        _ = RunJobAsync();

        async Task RunJobAsync()
        {
            await Task.Yield();
            await work();
            _job = null;
            _signal.Wake();
        }
    }

    private void Say(string reason)
    {
        if (reason != _reason)
        {
            _cluster.World.Note(Self, $"(Patroni) {_reason = reason}");
        }
    }

    private sealed class Silence : IProgress<string>
    {
        public void Report(string value)
        {
            // nobody looks
        }
    }
}
