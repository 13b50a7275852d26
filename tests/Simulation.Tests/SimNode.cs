using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Routing.Agent;
using Routing.Agent.Events;
using Routing.Agent.Loop;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Ha;

namespace Routing.Simulation.Tests;

/// <summary>One machine: a PostgreSQL server, a fence, and the agent's present life.</summary>
internal sealed class SimNode
{
    private readonly SimWorld _world;
    private readonly SimCluster _cluster;
    private readonly SimClock _clock;
    private readonly SimProcess _fenceProcess;

    public SimNode(SimCluster cluster, string name, int port)
    {
        (_cluster, _world, Name) = (cluster, cluster.World, name);
        var drift = ((_world.Random.NextDouble() * 2) - 1) * cluster.Options.Drift;
        _clock = new SimClock(
            _world, null, TimeSpan.FromSeconds(1000 + (_world.Random.NextDouble() * 100_000)), drift,
            _world.Between(-1500, 1500));
        _fenceProcess = new SimProcess(_world);
        Server = new SimServer(_world, cluster.Network, name, port);
        Server.StartTime = () => _world.Chance(0.9) ? _world.Between(50, 800) : _world.Between(800, 5000);
        Server.StopTime = () => _world.Chance(0.9) ? _world.Between(5, 200) : _world.Between(200, 3000);
        Server.LocalReplayTime = () => !cluster.Options.ReplaysLate ? TimeSpan.Zero
            : _world.Chance(0.7) ? _world.Between(5, 300) : _world.Between(300, 6000);
        Server.Ended = () => _world.At(_world.Between(0.1, 3), () => Agent?.Wake());
        Fence = new SimFence(_world, Server, _clock.For(_fenceProcess)) { IsDead = cluster.Options.FenceIsDead };
        Watchdog = new SimWatchdog(this, _world);
    }

    public string Name { get; }

    public SimServer Server { get; }

    public SimFence Fence { get; }

    public SimWatchdog Watchdog { get; }

    public SimMember? Agent { get; private set; }

    /// <summary>The site that it stands in; null: the cluster has none.</summary>
    public string? Site =>
        _cluster.Options.Sites == 0 ? null : $"site{Server.Port % _cluster.Options.Sites}";

    /// <summary>It runs Patroni.</summary>
    public bool IsPatroni { get; init; }

    /// <summary>Strikes in the middle of the agent's next long verb.</summary>
    public Action? Interruption { get; set; }

    /// <summary>The agent waits in the kernel for ever.</summary>
    public bool IsHung { get; set; }

    /// <summary>A planted mistake in the task that looks after the fence; null: none.</summary>
    public Exception? GuardBreaks { get; set; }

    /// <summary>A planted mistake in the task that keeps the lease; null: none.</summary>
    public Exception? KeeperBreaks { get; set; }

    /// <summary>Its agent is not started again.</summary>
    public bool StaysWithoutAgent { get; set; }

    /// <summary>The machine is on.</summary>
    public bool IsUp { get; private set; } = true;

    /// <summary>No process of the machine runs.</summary>
    public bool IsFrozen { get; private set; }

    /// <summary>Until then it may be a primary that nobody could stop: it stood still while its lease ended.</summary>
    public long ExcusedUntil { get; private set; }

    /// <summary>The DCS ended its lease before its time, and it may not know yet; 0: never.</summary>
    public long RobbedAt { get; set; }

    /// <summary>Its agent has said of its last promotion that slots may not be safe to use.</summary>
    public bool HasUnsafeSlots { get; set; }

    /// <summary>An operator took it out of the cluster.</summary>
    public bool HasLeft { get; private set; }

    public MemberTags Tags { get; private set; } = MemberTags.Empty;

    /// <summary>Its clocks.</summary>
    public NodeTime Time => _clock.Time;

    /// <summary>A client's commit would be taken.</summary>
    public bool AcceptsWrites => !IsFrozen && Server.AcceptsWrites;

    public DcsLink DcsLink { get; set; }

    /// <summary>Which life of the DCS its last agent knew: a file in the data directory tells the next one.</summary>
    public int? StoreLife { get; private set; }

    public Func<TimeSpan>? DcsDelay { get; set; }

    /// <summary>
    /// What its agent consented to last; it survives the agent. The machine's own end takes it away, so that its start
    /// counts as one.
    /// </summary>
    public FailsafeNotice? Consent { get; set; }

    /// <summary>The dynamic configuration that its agent saw last, in the file beside its data.</summary>
    public DynamicConfig Config { get; private set; } = DynamicConfig.Default;

    /// <summary>The members that its agent has seen; kept like its data.</summary>
    public KnownMembers Members { get; set; } = KnownMembers.None;

    public bool CanAnswer => !IsFrozen && Agent is { Process: { IsAlive: true, IsFrozen: false } };

    public void StartAgent()
    {
        if (!IsUp || HasLeft || StaysWithoutAgent || Agent is not null)
        {
            return;
        }
        var process = new SimProcess(_world);
        _world.Note(Name, "the agent starts");
        process.Run(() => Agent = IsPatroni
            ? new SimPatroni(_cluster, this, process, _clock.For(process))
            : new SimAgent(_cluster, this, process, _clock.For(process)));
        ApplyLinks();
        Agent!.Start();
        if (IsFrozen)
        {
            process.Freeze();
        }
    }

    /// <summary>A verb begins that can be interrupted in the middle.</summary>
    public void LongVerbBegins(string what)
    {
        if (Interruption is { } strike)
        {
            Interruption = null;
            _world.At(_world.Between(0, 1500), () =>
            {
                _world.Note(Name, $"--- interrupted in the middle of {what}");
                strike();
            });
        }
    }

    public void KillAgent(string why)
    {
        IsHung = false;
        if (Agent is { } agent)
        {
            _world.Note(Name, $"the agent is killed: {why}");
            if (agent is SimAgent { Board.Current.Config: { } config })
            {
                Config = config;
            }
            Agent = null;
            agent.Process.Kill();
            StoreLife = agent.Store.KnownLife ?? StoreLife;
            agent.Store.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    /// <summary>Power off.</summary>
    public void Kill()
    {
        _world.Note(Name, "the machine is off");
        GoOn();
        IsUp = false;
        KillAgent("power off");
        Fence.Disarm();
        Fence.Kill();
        Watchdog.Stop();
        Server.Kill("power off");
    }

    public void PowerOn()
    {
        if (!IsUp)
        {
            IsUp = true;
            Consent = new FailsafeNotice("unknown", "", "", null, _clock.GetTimestamp());
            StartAgent();
        }
    }

    /// <summary>Every process of the machine stands still.</summary>
    /// <param name="withClocks">Its monotonic clock too, so that it does not know of it afterwards.</param>
    public void Freeze(bool withClocks)
    {
        if (!IsUp || IsFrozen)
        {
            return;
        }
        IsFrozen = true;
        _world.Note(Name, $"the machine stands still{(withClocks ? ", and its clock" : "")}");
        Agent?.Process.Freeze();
        _fenceProcess.Freeze();
        Server.Freeze();
        _cluster.Network.Isolate(Name);
        if (withClocks)
        {
            Time.Freeze();
        }
    }

    public void GoOn()
    {
        if (!IsFrozen)
        {
            return;
        }
        _world.Note(Name, "the machine goes on");
        // A fence whose time has come acts at once. A clock that stood still lets it wait for what the lease had left.
        ExcusedUntil = _world.Now
            + (Time.IsFrozen ? TimeSpan.FromSeconds(_cluster.Options.LongestTtl) : TimeSpan.FromMilliseconds(50)).Ticks;
        IsFrozen = false;
        _cluster.Network.Join(Name);
        Time.GoOn();
        Server.Thaw();
        _fenceProcess.Thaw();
        Agent?.Process.Thaw();
    }

    /// <summary>An operator takes it out of the cluster.</summary>
    public void Leave(bool inGoodOrder)
    {
        HasLeft = true;
        if (inGoodOrder)
        {
            Agent?.Stop();
        }
        else
        {
            Kill();
        }
    }

    public void Return()
    {
        HasLeft = false;
        PowerOn();
        StartAgent();
    }

    /// <param name="json">The tags of its configuration; null: none.</param>
    public void SetTags(string? json)
    {
        var tags = json is null ? MemberTags.Empty
            : new MemberTags(MemberTags.Empty.Values.AddRange(
                JsonElement.Parse(json).EnumerateObject().Select(p => KeyValuePair.Create(p.Name, p.Value))));
        if (json is not null || Tags.Values.Count > 0)
        {
            Tags = tags;
            Agent?.Adopt(tags);
        }
    }

    /// <summary>The agent's process ended by itself.</summary>
    public void AgentEnded(SimMember agent, int code)
    {
        if (Agent != agent)
        {
            return;
        }
        _world.Note(Name, $"the agent ended with code {code}");
        KillAgent("it has ended");
        if (Server.Life == Life.Down)
        {
            Fence.Disarm();
            Fence.Kill();
        }
        _world.At(_world.Between(500, 5000), StartAgent);
    }

    public void ApplyLinks()
    {
        if (Agent is { } agent)
        {
            agent.Store.IsCutOff = DcsLink == DcsLink.Cut;
            agent.Store.IsMute = DcsLink == DcsLink.RequestsLost;
            agent.Store.IsDeaf = DcsLink == DcsLink.AnswersLost;
            agent.Store.RequestDelay = DcsDelay ?? (() => _world.Between(0.3, 6));
        }
    }

    /// <summary>What <c>GET /patroni</c> tells, as the asker reads it.</summary>
    public PeerReport Report() => Agent!.Report();

    public FailsafeReply ReceiveFailsafe(FailsafeMessage message) => Agent!.ReceiveFailsafe(message);
}

/// <summary>One life of the agent: the real loop, keeper, performer and watch, with simulated hands.</summary>
#pragma warning disable CA1001 // A process that is killed disposes of nothing; its life here ends with its SimProcess.
internal sealed class SimAgent : SimMember
#pragma warning restore CA1001
{
    private static readonly Task<bool> s_nameIsOurs = Task.FromResult(false);
    private readonly SimCluster _cluster;
    private readonly SimNode _node;
    private readonly AgentLoop _loop;
    private readonly FailsafeConsents _consents;
    private readonly TimeProvider _time;
    private readonly TopologyWatch _watch;
    private readonly LocalMember _member;
    private readonly SimGuard _guard;
    private readonly AgentEvents _events;

    public SimAgent(SimCluster cluster, SimNode node, SimProcess process, SimClock time)
        : base(process, cluster.Dcs.Connect(node.Name))
    {
        (_cluster, _node, _time) = (cluster, node, time);
        var world = cluster.World;
        var options = cluster.Options;
        Store.Recall(node.Server.IsEmpty ? null : node.StoreLife);
        Store.RequestTimeout = TimeSpan.FromSeconds(2);
        Store.AnswerDelay = () => world.Between(0.3, 6);
        Store.PushDelay = () => world.Between(0.3, 15);
        IClusterStore store = options.ShowsOldSnapshots ? new ForgetfulStore(Store, world) : Store;
        _watch = new TopologyWatch(store, NullLogger<TopologyWatch>.Instance);
        Board =
            new StatusBoard(new AgentStatus { Scope = "sim", Name = node.Name, LastLeader = node.Members.Leader,
                Config = node.Config });
        _member = new LocalMember(
            "sim", node.Name, $"postgres://127.0.0.1:{node.Server.Port}/postgres",
            $"http://127.0.0.1:{node.Server.Port + 1000}/patroni", null,
            node.Tags, true, static _ => false, cluster.ConfigElement)
        {
            CanRestore = true,
            Site = node.Site,
        };
        var postgres = new SimPostgres(world, cluster.Network, node.Server, time, options)
        {
            TakesOver = TakesOver,
            LongVerbBegins = node.LongVerbBegins,
        };
        var earlierConsent = options.ForgetsConsents ? null : node.Consent;
        _consents = new FailsafeConsents(Board, earlierConsent, consent => node.Consent = consent, time);
        _guard = new SimGuard(node, world, process, options, () => Board.Current.Timing, time);
        var (signal, pulse) = (new LoopSignal(time), new LoopPulse(time));
        var listener = new SimLeaseListener(node, new LeaseListener(_guard, Board, signal, pulse));
        Keeper = new LeaseKeeper(store, node.Name, listener, time, NullLogger<LeaseKeeper>.Instance);
        _loop = new AgentLoop(
            _member, store, _watch, postgres,
            new SimPeers(world, cluster.Network, node.Name, time, cluster.Nodes)
            {
                OneConsentIsLate = options.OneConsentIsLate,
            },
            _guard, Keeper, Board, _consents, _events = new AgentEvents(time, 16), signal, pulse,
            new LoopStart(node.Members, static () => true), time, NullLoggerFactory.Instance)
        {
            Decide = Decide,
            KeepMembers = (members, _) => node.Members = members,
        };
    }

    public override ClusterSnapshot? Seen => Board.Current.Cluster;

    public override string Reason => $"[{Board.Current.ReasonCode}] {Board.Current.Reason}";

    public LeaseKeeper Keeper { get; }

    public StatusBoard Board { get; }

    /// <summary>What REST asks before it speaks about the cluster.</summary>
    public bool SeesCluster => Board.Current.IsClusterFresh(_time.GetTimestamp(), _time);

    public override void Start() => Process.Run(() => _ = RunAsync());

    public override void Wake() => Process.Run(_loop.Signal.Wake);

    public override void Stop() => Process.Run(_loop.RequestShutdown);

    /// <summary>What operators ask of it.</summary>
    public OrderDesk Orders => _loop.Orders;

    /// <summary>The last restart that was asked for: how it ended; null before it has.</summary>
    public OrderEnd? LastRestart { get; private set; }

    /// <summary>An operator asks for a restart, and waits for the answer.</summary>
    public void OrderRestart(RestartFilter filter)
    {
        LastRestart = null;
        Process.Run(() => _ = AwaitAsync());

        async Task AwaitAsync() => LastRestart = await Orders.RestartAsync(filter, null, CancellationToken.None);
    }

    /// <summary>An operator asks for a new copy in place of its data.</summary>
    public void OrderReinitialize(bool force, bool fromLeader) =>
        Process.Run(() => _ = Orders.ReinitializeAsync(force, fromLeader, CancellationToken.None));

    /// <summary>An operator plans a restart.</summary>
    public void PlanRestart(TimeSpan ahead) => Process.Run(() =>
        Orders.TrySchedule(new ScheduledRestart(_time.GetUtcNow() + ahead, null, null, null, false, null)));

    public override void Adopt(MemberTags tags) => Process.Run(() => _loop.Adopt(_member with { Tags = tags }));

    public override PeerReport Report()
    {
        Wake();   // as the REST does for an asker who would want to ask again
        var status = Board.Current;
        var local = status.Postgres;
        var tags = status.Tags;
        return new PeerReport(
            _node.Name, Reachable: true,
            status.IsAnswering ? local.IsPrimary : status.Role == Role.Primary,
            !status.IsAnswering || local.IsWalEndUnknown
                ? Lsn.Zero
                : local.IsPrimary ? local.WalPosition : Lsn.Max(local.ReceivedLsn, local.ReplayedLsn),
            status.IsAnswering ? local.Timeline : 0, tags.NoFailover, tags.FailoverPriority)
        {
            Role = status.Role,
            State = status.State,
            Age = _time.GetElapsedTime(status.ObservedAt),
            Damage = status.Damage,
            Paused = status.Config.Pause,
        };
    }

    public override FailsafeReply ReceiveFailsafe(FailsafeMessage message)
    {
        if (_cluster.Options.ConsentsToAnybody)
        {
            var notice = FailsafeNotice.Of(message, Board.Current.Timing.Ttl, Board.Current.Failsafe, _time);
            Board.Update(current => current with { Failsafe = notice });
            return new FailsafeReply(_node.Name, true, null, "Accepted");
        }
        var verdict = _consents.Receive(message).Verdict;
        var accepted = verdict == FailsafeVerdict.Accepted;
        return new FailsafeReply(_node.Name, accepted, null, verdict.ToString(), Refused: !accepted);
    }

    private async Task RunAsync()
    {
        int code;
        try
        {
            await _guard.BeginAsync();
            _watch.Start();
            code = await BackgroundTasks.UntilOneEndsAsync(
                _loop.RunAsync(CancellationToken.None), s_nameIsOurs, [_guard.RunAsync(), _watch.Broken],
                problem => _cluster.World.Note(
                    _node.Name, $"a task that guards it broke: {problem?.GetBaseException().Message}"));
        }
        catch (SimHangException)
        {
            return;
        }
        catch (PlantedMistakeException)
        {
            _node.AgentEnded(this, 70);
            return;
        }
        catch (Exception problem)
        {
            _cluster.Invariants.Violated($"the agent of {_node.Name} broke: {problem}");
            return;
        }
        _node.AgentEnded(this, code);
    }

    private void TakesOver(string what)
    {
        _cluster.Invariants.TakesOver(_node, what);
        var term = Keeper.View.Term.Revision;
        _node.HasUnsafeSlots = _events.After(0).Any(item => item.Code == "slots_unsafe" && item.Term == term);
    }

    private Decision Decide(Observation o)
    {
        var decision = HaLoop.Decide(o);
        if (_cluster.Options.Spoil is { } spoil)
        {
            decision = spoil(o, decision);
        }
        _cluster.Invariants.Decided(_node, o, decision);
        return decision;
    }
}
