using Microsoft.Extensions.Logging;
using Routing.Agent.Events;
using Routing.Agent.Postgres;
using Routing.Agent.Status;
using Routing.Cluster.Keys;
using Routing.Dcs;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>
/// Observe, decide, perform, tend; again when something happens, and at the latest after <c>loop_wait</c>.
/// </summary>
/// <remarks>
/// Woken at once by: a watch event that can change the decision, the postmaster's exit, a REST request, a finished job,
/// a deadline. A run that has nothing to do costs one query. Long work is a job beside the loop.
/// </remarks>
internal sealed class AgentLoop : IDisposable
{
    private readonly TopologyWatch _watch;
    private readonly IPrimaryGuard _guard;
    private readonly LeaseKeeper _keeper;
    private readonly LoopPulse _pulse;
    private readonly TimeProvider _time;
    private readonly JobSlot _jobs;
    private readonly LastLife _lastLife;
    private readonly OwnWrites _writes;
    private readonly ConfigInForce _config;
    private readonly LoopObserver _observer;
    private readonly ConfigApplier _applier;
    private readonly FailoverClock _failover = new();
    private readonly FirstWriteWatch _firstWrite;
    private readonly Announcer _announcer;
    private readonly RoleCallbacks _callbacks;
    private readonly StatusPublisher _status;
    private readonly Performer _performer;
    private readonly KeyTender _keys;
    private readonly LogicalSlotWorker _slotWorker;
    private readonly SlotTender _slots;
    private readonly LoopPace _pace;

    private LocalMember _member;
    private LoopMemory _memory;
    private Learned _learned = new();
    private volatile Observation? _seen;
    private volatile bool _shutdown;

    public AgentLoop(
        LocalMember member, IClusterStore store, TopologyWatch watch, IPostgres postgres, IPeers peers,
        IPrimaryGuard guard, LeaseKeeper keeper, StatusBoard board, FailsafeConsents consents, AgentEvents events,
        LoopSignal signal, LoopPulse pulse, LoopStart start, TimeProvider time, ILoggerFactory loggers)
    {
        (_member, _watch, _guard, _keeper, _pulse, _time) = (member, watch, guard, keeper, pulse, time);
        Signal = signal;
        Orders = new OrderDesk(signal.Wake);
        _memory = LoopMemory.Empty with { Members = start.Members };
        var clock = new LoopClock(time);
        _jobs = new JobSlot(() => clock.Now, signal.Wake, loggers.CreateLogger<JobSlot>());
        _lastLife = new LastLife(keeper, clock, member.Name);
        _writes = new OwnWrites(watch, keeper, member.Name, time);
        _config = new ConfigInForce(
            DynamicConfigReader.Read(member.InitialConfig, 0), member.Name, guard, keeper, pulse,
            loggers.CreateLogger<ConfigInForce>());
        _slotWorker = new LogicalSlotWorker(postgres, time, loggers.CreateLogger<LogicalSlotWorker>());
        _observer = new LoopObserver(
            postgres,
            new ClusterObserver(
                watch, _lastLife, _writes, _config, start.NameIsOurs, loggers.CreateLogger<ClusterObserver>()),
            _config, keeper, guard, consents, _jobs, Orders, _slotWorker, clock,
            () => _performer!.CheckpointedSince, time);
        _applier = new ConfigApplier(postgres, _jobs, clock, loggers.CreateLogger<ConfigApplier>());
        _announcer = new Announcer(events, loggers.CreateLogger<Announcer>());
        _callbacks = new RoleCallbacks(postgres);
        _firstWrite = new FirstWriteWatch(postgres, events, time);
        _status = new StatusPublisher(board, keeper, guard, _failover, time);
        _slots = new SlotTender(postgres, _slotWorker, _applier, events, loggers.CreateLogger<SlotTender>());
        var status = new StatusKey(store, member.Name);
        _performer = Performer.Create(
            store, keeper, status, postgres, peers, guard, _jobs, Orders, signal, clock, time,
            loggers.CreateLogger<Performer>());
        _keys = new KeyTender(
            new MemberPublisher(store, keeper, time, loggers.CreateLogger<MemberPublisher>()),
            new LeaderKeys(store, status, keeper, _writes, _slots, time),
            keeper, guard, Orders, time, loggers.CreateLogger<KeyTender>());
        _pace = new LoopPace(keeper, time);
    }

    /// <summary>Wakes the loop.</summary>
    public LoopSignal Signal { get; }

    /// <summary>The job that runs now; null: none.</summary>
    public JobView? Job => _jobs.Current;

    /// <summary>What operators ask of this member.</summary>
    public OrderDesk Orders { get; }

    /// <summary>The decision: <see cref="HaLoop.Decide"/>, unless a test plants a bug in it.</summary>
    public Func<Observation, Decision> Decide { get; init; } = HaLoop.Decide;

    /// <summary>
    /// Called after each decision: the members to be known to the agent's next life, and whether the data directory has
    /// been filled anew.
    /// </summary>
    public Action<KnownMembers, bool>? KeepMembers { get; init; }

    /// <summary>Called after each run with its duration and the decision's code.</summary>
    public Action<TimeSpan, string>? RunEnded { get; init; }

    /// <summary>Runs until the decision ends the process.</summary>
    /// <returns>The exit code.</returns>
    /// <exception cref="Exception">
    /// The loop or the lease keeper broke: the process has to end, and the fence stops a primary.
    /// </exception>
    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _watch.Changed += OnWatch;
        _keeper.Observe(_watch.Current.Snapshot);   // a snapshot may have come before
        _keeper.Adopt(_config.Timing);
        _observer.Begin();
        var keeping = _keeper.RunAsync(stop.Token);
        // However the keeper ends: the lease is not renewed any more, and the loop has to notice that before its next
        // run.
        _ = keeping.ContinueWith(
            _ => Signal.Wake(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
        try
        {
            while (true)
            {
                if (keeping.IsFaulted)
                {
                    await keeping;
                }
                var wait = await RunOnceAsync(cancellationToken);
                if (_learned.ExitCode is { } code)
                {
                    return code;
                }
                _status.PlanRun(wait);
                await Signal.SleepAsync(wait, cancellationToken);
            }
        }
        finally
        {
            _watch.Changed -= OnWatch;
            Cancel(stop);
            await keeping.ConfigureAwait(
                ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }
    }

    /// <summary>Ends the agent in good order: PostgreSQL is stopped, a leader hands over.</summary>
    public void RequestShutdown()
    {
        _shutdown = true;
        Signal.Wake();
    }

    /// <summary>Adopts a changed local configuration.</summary>
    public void Adopt(LocalMember member)
    {
        _member = member;
        _applier.Reload();
        Signal.Wake();
    }

    public void Dispose()
    {
        _firstWrite.Dispose();
        _slotWorker.Dispose();
        _jobs.Dispose();
        Signal.Dispose();
    }

    // Not CancelAsync, which uses the thread pool: the work with this token has to end at once.
    private static void Cancel(CancellationTokenSource source) => source.Cancel();

    private void OnWatch(ClusterView view)
    {
        _keeper.Observe(view.Snapshot);
        WakeFor(view);
    }

    private void WakeFor(ClusterView view)
    {
        if (_seen is not { } seen || WakeRules.Matters(seen.Cluster, view.Snapshot, seen.Self)
            || view.IsLive != seen.IsDcsLive)
        {
            Signal.Wake();
        }
    }

    private async Task<TimeSpan> RunOnceAsync(CancellationToken cancellationToken)
    {
        var began = _time.GetTimestamp();
        var member = _member;
        await _writes.SeeAsync(_learned.WrittenRevision, _lastLife.Seen, cancellationToken);
        var sighting = await _observer.ObserveAsync(member, _memory, _learned, _shutdown, cancellationToken);
        var observation = _seen = sighting.Observation;
        Interlocked.MemoryBarrier();
        if (_watch.Current is var newest && !ReferenceEquals(newest, sighting.View))
        {
            WakeFor(newest);   // it came after the observation, and was compared with the one before
        }
        GuardRule.Apply(observation, _guard);
        await _applier.ApplyChangeAsync(observation, cancellationToken);
        _firstWrite.See(observation);
        var decision = Decide(observation);
        Remember(decision, observation);
        Tell(sighting, decision);
        _slots.See(observation, decision);
        using var bound = _pace.WithinLease(observation.Config, cancellationToken);
        await PerformAsync(observation, decision, member, bound.Token);
        if (decision.WakeIn != TimeSpan.Zero)
        {
            // In the middle of a race or a promotion every write would only delay the next step.
            await TendAsync(observation, member, bound.Token);
        }
        cancellationToken.ThrowIfCancellationRequested();
        _pulse.Beat();
        RunEnded?.Invoke(_time.GetElapsedTime(began), decision.Code);
        return _pace.UntilNextRun(observation, decision);
    }

    private void Remember(Decision decision, Observation observation)
    {
        _memory = decision.Memory with { PreviousPosition = observation.Local.WalPosition };
        KeepMembers?.Invoke(_memory.Members, observation.Ended is
        {
            Kind: JobKind.Clone or JobKind.Reinitialize or JobKind.Rewind or JobKind.Bootstrap or JobKind.Restore
                or JobKind.PutBack
        });
    }

    private void Tell(Sighting sighting, Decision decision)
    {
        var observation = sighting.Observation;
        if (_failover.See(observation) is { } phases)
        {
            _announcer.TellFailover(phases, _failover.Last, observation);
        }
        _announcer.Tell(observation, decision);
        _callbacks.Run(observation, decision);
        _status.Publish(sighting, decision);
    }

    private async Task PerformAsync(
        Observation observation, Decision decision, LocalMember member, CancellationToken cancellationToken)
    {
        var run = new PerformedRun(
            observation with { Memory = _memory }, member, () => _slots.SlotsToTell(observation));
        var learned = await _performer.PerformAsync(decision.Actions, run, cancellationToken);
        _memory = learned.AddTo(_memory, observation);
        _learned = learned.After(_learned);
    }

    /// <summary>Keeps the keys, the settings and the slots in step with what this member is.</summary>
    private async Task TendAsync(Observation observation, LocalMember member, CancellationToken cancellationToken)
    {
        if (_learned.ExitCode is null)
        {
            // The state that the started job has changed is published at once, not with the next run.
            var present = observation with { Job = _jobs.Current, Ended = null, Memory = _memory };
            await _keys.TendAsync(present, member, cancellationToken);
        }
        if (_jobs.Current is null && observation.Cluster is not null)
        {
            await _applier.TendAsync(observation, cancellationToken);
            await _slots.TendAsync(observation, cancellationToken);
        }
    }
}
