using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Routing.Agent.Events;
using Routing.Agent.Postgres;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Cluster.Events;
using Routing.Dcs;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>Observe, decide, perform; again when something happens, and at the latest after <c>loop_wait</c>.</summary>
/// <remarks>
/// Woken at once by: a watch event that can change the decision, the postmaster's exit, a REST request, a finished job,
/// a deadline. A run that has nothing to do costs one query. Long work is a job beside the loop.
/// </remarks>
internal sealed partial class AgentLoop : IDisposable
{
    private static readonly TimeSpan s_barrier = TimeSpan.FromMilliseconds(500);

    private readonly IClusterStore _store;
    private readonly TopologyWatch _watch;
    private readonly IPostgres _postgres;
    private readonly IPrimaryGuard _guard;
    private readonly LeaseKeeper _keeper;
    private readonly Performer _performer;
    private readonly MemberPublisher _publisher;
    private readonly StatusKey _status;
    private readonly StatusBoard _board;
    private readonly AgentEvents _events;
    private readonly Chronicle _chronicle;
    private readonly FirstWriteWatch _firstWrite;
    private readonly JobSlot _jobs;
    private readonly LoopPulse _pulse;
    private readonly TimeProvider _time;
    private readonly ILogger<AgentLoop> _logger;
    private readonly long _startedAt;
    private readonly FailoverClock _failover = new();

    private LoopMemory _memory = LoopMemory.Empty;
    private Performer.Learned _learned = new();
    private LocalMember _member;
    private DynamicConfig _config;
    private long _appliedConfigRevision = -1;
    private ImmutableSortedDictionary<string, string>? _failsafeAttempt;
    private ImmutableSortedDictionary<string, string>? _failsafePossible;
    private int _inheritedPid;
    private TimeSpan? _applyFailedAt;
    private string? _applyProblem;
    private bool? _appliedAsPrimary;
    private ImmutableArray<KeyProblem> _keyProblems = [];
    private int _configLife;
    private Timing _timing;
    private (Term Term, TimeSpan Ttl) _longestTtl;
    private long _statusWrittenAt;
    private string _failsafeWritten = "";
    private long _observedAt;
    private long _confirmedAt;
    private Role _lastRole = Role.Unknown;
    private Role? _callbackRole;
    private string? _lastLeader;
    private string _lastReason = "";
    private bool _reload;
    private volatile bool _shutdown;

    public AgentLoop(
        LocalMember member, IClusterStore store, TopologyWatch watch, IPostgres postgres, IPeers peers,
        IPrimaryGuard guard, LeaseKeeper keeper, StatusBoard board, AgentEvents events, LoopSignal signal,
        LoopPulse pulse, TimeProvider time, ILoggerFactory loggers)
    {
        (_member, _store, _watch, _postgres, _guard, _keeper, _board, _events, _time) =
            (member, store, watch, postgres, guard, keeper, board, events, time);
        (_chronicle, _firstWrite) = (new Chronicle(events), new FirstWriteWatch(postgres, events, time));
        (Signal, _pulse) = (signal, pulse);
        _logger = loggers.CreateLogger<AgentLoop>();
        _startedAt = time.GetTimestamp();
        _config = DynamicConfig.Parse(member.InitialConfig, 0);
        _timing = _config.Timing.Corrected(Timing.CommonMinimum);
        Orders = new OrderDesk(signal.Wake);
        _jobs = new JobSlot(Now, signal.Wake, loggers.CreateLogger<JobSlot>());
        _status = new StatusKey(store, member.Name);
        _performer = new Performer(store, keeper, _status, postgres, peers, guard, _jobs, Orders,
            signal, time, loggers.CreateLogger<Performer>());
        _publisher = new MemberPublisher(store, keeper, time, loggers.CreateLogger<MemberPublisher>());
        pulse.Adopt(_timing);
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
    /// What this member consented to in an earlier life of its agent; null: nothing that could still bind it.
    /// </summary>
    public FailsafeNotice? EarlierConsent { get; init; }

    /// <summary>
    /// Whether it is known that no other agent has this member's name. Until then the loop looks after its own
    /// PostgreSQL alone, as if the DCS had not answered yet.
    /// </summary>
    public Func<bool> NameIsOurs { get; init; } = static () => true;

    /// <summary>The members that an earlier life of this agent has seen.</summary>
    public KnownMembers EarlierMembers
    {
        init => _memory = _memory with { Members = value };
    }

    /// <summary>
    /// Called after each decision: the members to be known to the agent's next life, and whether the data directory has
    /// been filled anew.
    /// </summary>
    public Action<KnownMembers, bool>? KeepMembers { get; init; }

    /// <summary>Number of runs so far.</summary>
    public long Runs { get; private set; }

    /// <summary>Called after each run with its duration and the decision's code.</summary>
    public Action<TimeSpan, string>? RunEnded { get; set; }

    /// <summary>Runs until the decision ends the process.</summary>
    /// <returns>The exit code.</returns>
    /// <exception cref="Exception">
    /// The loop or the lease keeper broke: the process has to end, and the fence stops a primary.
    /// </exception>
    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _watch.Changed += OnWatch;
        _keeper.Adopt(_timing);
        _inheritedPid = _guard.ArmedPid;
        var keeping = _keeper.RunAsync(stop.Token);
        // Whatever ends the keeper: nobody renews the lease any more, and the loop must not wait for its next run to
        // notice.
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
                _board.Update(status => status with { NextRunAt = _time.GetTimestamp() + Ticks(wait) });
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
        _reload = true;
        Signal.Wake();
    }

    public void Dispose()
    {
        _firstWrite.Dispose();
        _jobs.Dispose();
        Signal.Dispose();
    }

    // Not CancelAsync, which goes over the thread pool: what hangs on this token ends at once.
    private static void Cancel(CancellationTokenSource source) => source.Cancel();

    private TimeSpan Now() => _time.GetElapsedTime(_startedAt);

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * _time.TimestampFrequency);

    private void OnWatch(ClusterView view)
    {
        _keeper.Observe(view.Snapshot);
        if (WakeRules.Matters(_board.Current.Cluster, view.Snapshot, _member.Name)
            || view.IsLive == _board.Current.IsDcsSilent)
        {
            Signal.Wake();
        }
    }

    private async Task<TimeSpan> RunOnceAsync(CancellationToken cancellationToken)
    {
        var began = _time.GetTimestamp();
        Runs++;
        await SeeOwnWritesAsync(cancellationToken);
        var observation = await ObserveAsync(cancellationToken);
        GuardPrimary(observation);
        await ApplyConfigurationAsync(observation, cancellationToken);
        if (_failover.See(observation) is { } phases)
        {
            _events.Append(EventKind.Failover, "promoted", phases, observation.Lease.Term, observation.Local.Timeline,
                EventFigures.Phases(_failover.Last));
            LogFailover(phases);
        }
        WatchForWrites(observation);
        var decision = Decide(observation);
        _memory = decision.Memory with { PreviousPosition = observation.Local.WalPosition };
        KeepMembers?.Invoke(_memory.Members, observation.Ended is
        {
            Kind: JobKind.Clone or JobKind.Reinitialize or JobKind.Rewind or JobKind.Bootstrap
        });
        Announce(observation, decision);
        Publish(observation, decision);
        var carried = _learned;
        using var bound = WithinLease(cancellationToken);
        _learned = await _performer.PerformAsync(
            decision.Actions,
            new Performer.Run(observation with { Memory = _memory }, _member, _config) { Now = Now,
                Slots = () => SlotsToTell(observation) },
            bound.Token);
        if (_learned.SyncRefused && _memory.Sync is { } planned
            && observation.Memory.Sync?.Unanswered(observation.Cluster!.Sync) is null)
        {
            // Unless an earlier attempt had no answer, nothing can land any more: the planner is free again.
            _memory = _memory with { Sync = planned with { Wrote = null } };
        }
        if (_learned.InitializeRevision != 0)
        {
            _memory = _memory with { InitializeRevision = _learned.InitializeRevision };
        }
        _learned = _learned with
        {
            Peers = _learned.Peers ?? carried.Peers,
            FailsafeAskedAt = _learned.FailsafeAskedAt ?? carried.FailsafeAskedAt,
            FailsafePositions = _learned.FailsafePositions ?? carried.FailsafePositions,
        };
        if (decision.WakeIn != TimeSpan.Zero)
        {
            // In the middle of a race or a promotion every write would only delay the next step.
            await TendKeysAsync(observation, bound.Token);
            await TendServerAsync(observation, bound.Token);
        }
        cancellationToken.ThrowIfCancellationRequested();
        _pulse.Beat();
        RunEnded?.Invoke(_time.GetElapsedTime(began), decision.Code);
        return NextRun(observation, decision);
    }

    /// <summary>From the end of a promotion until somebody has written.</summary>
    private void WatchForWrites(Observation o)
    {
        if (o is { Ended: { Kind: JobKind.Promote, Result: JobResult.Done }, Lease.HoldsLeader: true })
        {
            _firstWrite.Begin(o.Lease.Term, o.Local.Timeline);
        }
        else if (!o.Lease.HoldsLeader || !o.Local.HasProcess)
        {
            _firstWrite.Stop();
        }
    }

    /// <summary>
    /// What a run does may not outlast the lease: then a primary has to be stopped, and only the next run does that.
    /// </summary>
    private TimedToken WithinLease(CancellationToken cancellationToken)
    {
        var lease = _keeper.View;
        // In failsafe mode the members are asked when half of the lease is over: that needs the rest of it.
        var half = lease.Ttl / 2;
        var left = lease.LeaderLeft - (_config.FailsafeMode && lease.LeaderLeft > half ? half : lease.SafetyMargin);
        return lease.HoldsLeader && left > TimeSpan.Zero
            ? TimedToken.After(left, _time, cancellationToken)
            : TimedToken.With(cancellationToken);
    }

    /// <summary>The next run at the latest: what the decision says, the end of the lease, the heartbeat.</summary>
    private TimeSpan NextRun(Observation observation, Decision decision)
    {
        // On whole multiples of loop_wait, where the watch and the keeper have their moments too: an idle agent wakes
        // once for all three.
        var aligned = WatchPace.UntilNext(_timing.LoopWait, _time);
        var wait = aligned < _timing.LoopWait ? aligned : _timing.LoopWait;
        if (decision.WakeIn is { } soon && soon < wait)
        {
            wait = soon;
        }
        var lease = _keeper.View;
        if (lease.HoldsLeader && observation.Local.HasProcess)
        {
            var margin = lease.LeaderLeft - lease.SafetyMargin;
            if (margin > TimeSpan.Zero && margin < wait)
            {
                wait = margin + TimeSpan.FromMilliseconds(1);
            }
            // In failsafe mode the members have to be asked while there is time: as soon as half of the lease is over,
            // which may have happened during this run, by its requests that nobody answered.
            var untilHalf = lease.LeaderLeft - (lease.Ttl / 2);
            if (_config.FailsafeMode && untilHalf < wait && observation.Lease.LeaderLeft >= observation.Lease.Ttl / 2)
            {
                wait = untilHalf > TimeSpan.Zero
                    ? untilHalf + TimeSpan.FromMilliseconds(1)
                    : TimeSpan.FromMilliseconds(1);
            }
        }
        return wait;
    }

    /// <summary>Waits until the watch shows what this agent wrote last, so that no decision is taken twice.</summary>
    private async Task SeeOwnWritesAsync(CancellationToken cancellationToken)
    {
        if (_learned.WrittenRevision == 0)
        {
            return;
        }
        using var limit = TimedToken.After(s_barrier, _time, cancellationToken);
        try
        {
            var view = _watch.Current;
            while (view.IsLive && view.Snapshot.Revision < _learned.WrittenRevision
                && view.Snapshot.Life == _seen?.Life)
            {
                view = await _watch.WaitForNewerAsync(view, limit.Token);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The watch lags: decide on what there is; every write is conditional.
        }
    }

    private async Task<Observation> ObserveAsync(CancellationToken cancellationToken)
    {
        var ended = _jobs.TakeEnded();
        var job = _jobs.Current;
        var observedAt = _time.GetTimestamp();
        var local = await _postgres.ObserveAsync(cancellationToken);
        if (local.PostmasterPid > 0 && local.PostmasterPid == _inheritedPid)
        {
            // an earlier agent's order names it: a primary, or to be one
            local = local with { PromotionAsked = true };
        }
        _observedAt = observedAt;
        var view = _watch.Current;
        // A watch that is live has had a sign of life a moment ago, though nothing changed for long.
        _confirmedAt = view.IsLive ? observedAt : view.LastContact;
        var snapshot = view.Snapshot.Revision == 0 || !NameIsOurs()
            ? null
            : WithOwnFailsafe(WithOwnLeaderKey(WithEarlierLife(view.Snapshot)));
        if (snapshot is not null)
        {
            NameKeyProblems(snapshot);
            AdoptConfig(snapshot);
            Orders.Recall(snapshot.Members.GetValueOrDefault(_member.Name)?.ScheduledRestart);
        }
        var status = _board.Current;
        var consent = status.Failsafe ?? EarlierConsent;
        var now = _time.GetTimestamp();
        return new Observation
        {
            Self = _member.Name,
            Options = new MemberOptions(
                _member.Tags, _member.MayBootstrap, _guard.WatchdogProblem, _member.CanCloneWithoutLeader,
                _config.Unsupported),
            Cluster = snapshot,
            IsDcsLive = view.IsLive,
            Config = _config,
            Timing = _timing,
            Local = local,
            Lease = _keeper.View,
            Job = job,
            Ended = ended,
            Peers = _learned.Peers,
            Failsafe = new FailsafeView(
                _keeper.VouchedUntil is { } until ? _time.GetElapsedTime(now, until) : TimeSpan.Zero,
                _learned.FailsafeAskedAt,
                consent?.Name,
                consent?.Left(_timing.Ttl, now, _time) ?? TimeSpan.Zero)
            {
                Positions = _learned.FailsafePositions,
                PingSlots = consent?.Slots,
            },
            Now = Now(),
            Took = _time.GetElapsedTime(observedAt),
            Clock = _time.GetUtcNow(),
            Order = Orders.Open,
            ScheduledRestart = Orders.Scheduled,
            ShutdownRequested = _shutdown,
            Memory = _memory,
        };
    }

    /// <summary>What we know of the leader key from our own writes may be newer than the watch.</summary>
    private ClusterSnapshot WithOwnLeaderKey(ClusterSnapshot snapshot)
    {
        if (_keeper.Held is { } held && (held.Term.Life > snapshot.Life.Number
            || (held.Term.Life == snapshot.Life.Number && held.ModRevision > snapshot.Revision)))
        {
            return snapshot with { Leader = held };
        }
        if (snapshot.Leader is { } leader && leader.Holder == _member.Name && leader.Term <= _keeper.ReleasedTerm)
        {
            return snapshot with { Leader = null };
        }
        return snapshot;
    }

    /// <summary>
    /// Until the view shows the list that we wrote last, each list that may be in force counts: a member that one of
    /// them names may race, and has to be asked.
    /// </summary>
    private ClusterSnapshot WithOwnFailsafe(ClusterSnapshot snapshot)
    {
        if (_failsafePossible is null || _keeper.Held is null || snapshot.Failsafe is not { } seen)
        {
            return snapshot;
        }
        if (seen.Count == _failsafeAttempt!.Count
            && seen.All(pair => _failsafeAttempt.GetValueOrDefault(pair.Key) == pair.Value))
        {
            _failsafePossible = null;
            return snapshot;
        }
        return snapshot with { Failsafe = seen.SetItems(_failsafePossible) };
    }

    /// <summary>Keys that cannot be read count as nothing; somebody should know.</summary>
    private void NameKeyProblems(ClusterSnapshot snapshot)
    {
        if (snapshot.Problems != _keyProblems)
        {
            foreach (var problem in snapshot.Problems.Except(_keyProblems))
            {
                LogKeyProblem(problem.Key, problem.Problem);
            }
            _keyProblems = snapshot.Problems;
        }
    }

    private void AdoptConfig(ClusterSnapshot snapshot)
    {
        if (snapshot.Config is { } config
            && (config.ModRevision != _config.ModRevision || snapshot.Life.Number != _configLife))
        {
            (_config, _configLife) = (config.After(_config), snapshot.Life.Number);
            foreach (var problem in _config.Problems)
            {
                LogConfigProblem(problem);
            }
            if (config.Unsupported is { } unsupported)
            {
                LogUnsupported(unsupported);
            }
        }
        var allFenced = _guard.IsFenced
            && snapshot.Members.Values.All(m => m.Name == _member.Name || m.Routing is { Fence: true });
        var timing = _config.Timing.Corrected(allFenced ? Timing.FencedMinimum : Timing.CommonMinimum);
        if (timing != _timing)
        {
            _timing = timing;
            LogTiming(timing.Ttl.TotalSeconds, timing.LoopWait.TotalSeconds, timing.RetryTimeout.TotalSeconds);
            _pulse.Adopt(timing);
            _keeper.Adopt(timing);
        }
    }

    private void GuardPrimary(Observation o)
    {
        // What a silent server was last is known, not what it is: its files and what it was asked for tell more.
        var mayWrite = o.Job is { MakesPrimary: true }
            || o.Local.AcceptsWrites || o.Local.PromotionAsked
            || o.Local is { HasProcess: true, HasRecoverySignal: false };
        if (mayWrite && !o.Paused && o.Local.PostmasterPid > 0 && o.Lease.HoldsLeader && o.Job?.Kind != JobKind.Demote)
        {
            _guard.Arm(o.Local.PostmasterPid);
        }
        else if (o.Paused || (!mayWrite && !(o.Leads && o.Local.HasProcess)))
        {
            _guard.Disarm();   // not of a standby that is about to be promoted: what was prepared for it stays
        }
    }

    [LoggerMessage(EventId = 1003, Level = LogLevel.Warning, Message = "Dynamic configuration: {Problem}")]
    private partial void LogConfigProblem(string problem);

    [LoggerMessage(EventId = 1009, Level = LogLevel.Error,
        Message = "{Problem}: no member takes the leader key anew, and there is no failover or switchover, until "
            + "standby_cluster is removed")]
    private partial void LogUnsupported(string problem);

    [LoggerMessage(EventId = 1004, Level = LogLevel.Information,
        Message = "Times in force: ttl {Ttl} s, loop_wait {LoopWait} s, retry_timeout {RetryTimeout} s")]
    private partial void LogTiming(double ttl, double loopWait, double retryTimeout);

    [LoggerMessage(
        EventId = 1008, Level = LogLevel.Warning, Message = "The key {Key} cannot be used as it is: {Problem}")]
    private partial void LogKeyProblem(string key, string problem);

    [LoggerMessage(EventId = 1007, Level = LogLevel.Information,
        Message = "promoted self to leader by acquiring session lock; {Phases}")]
    private partial void LogFailover(string phases);
}
