using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Routing.Agent.Postgres;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Ha;
using Routing.Ha.Slots;
using Routing.Ha.Synchronous;

namespace Routing.Agent.Loop;

/// <summary>Observe, decide, perform; again when something happens, and at the latest after <c>loop_wait</c>.</summary>
/// <remarks>
/// Woken at once by: a watch event that can change the decision, the postmaster's exit, a REST request, a finished job, a
/// deadline. A run that has nothing to do costs one query. Long work is a job beside the loop.
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
    private readonly StatusBoard _board;
    private readonly AgentEvents _events;
    private readonly JobSlot _jobs;
    private readonly TimeProvider _time;
    private readonly ILogger<AgentLoop> _logger;
    private readonly long _startedAt;
    private readonly FailoverClock _failover = new();

    private LoopMemory _memory = LoopMemory.Empty;
    private SlotMemory _slotMemory = SlotMemory.Empty;
    private Performer.Learned _learned = new();
    private LocalMember _member;
    private DynamicConfig _config;
    private long _appliedConfigRevision = -1;
    private bool? _appliedAsPrimary;
    private ImmutableArray<KeyProblem> _keyProblems = [];
    private Timing _timing;
    private string _statusWritten = "";
    private long _statusWrittenAt;
    private string _failsafeWritten = "";
    private long _lastRunAt;
    private long _observedAt;
    private long _confirmedAt;
    private Role _lastRole = Role.Unknown;
    private Role? _callbackRole;
    private string? _lastLeader;
    private string _lastReason = "";
    private bool _reload;
    private volatile bool _shutdown;

    public AgentLoop(
        LocalMember member, IClusterStore store, TopologyWatch watch, IPostgres postgres, IPeers peers, IPrimaryGuard guard,
        LeaseKeeper keeper, StatusBoard board, AgentEvents events, LoopSignal signal, TimeProvider time, ILoggerFactory loggers)
    {
        (_member, _store, _watch, _postgres, _guard, _keeper, _board, _events, _time) =
            (member, store, watch, postgres, guard, keeper, board, events, time);
        Signal = signal;
        _logger = loggers.CreateLogger<AgentLoop>();
        _startedAt = _lastRunAt = time.GetTimestamp();
        _config = DynamicConfig.Parse(member.InitialConfig, 0);
        _timing = _config.Timing.Corrected(Timing.CommonMinimum);
        _jobs = new JobSlot(Now, signal.Wake, loggers.CreateLogger<JobSlot>());
        _performer = new Performer(store, keeper, postgres, peers, guard, _jobs, time, loggers.CreateLogger<Performer>());
        _publisher = new MemberPublisher(store, keeper, time, loggers.CreateLogger<MemberPublisher>());
        keeper.Wake = signal.Wake;
        keeper.LoopIsAlive = IsAlive;
        keeper.ConvictionChanged = OnConviction;
    }

    /// <summary>Wakes the loop.</summary>
    public LoopSignal Signal { get; }

    /// <summary>The decision: <see cref="HaLoop.Decide"/>, unless a test plants a bug in it.</summary>
    public Func<Observation, Decision> Decide { get; init; } = HaLoop.Decide;

    /// <summary>What this member consented to in an earlier life of its agent; null: nothing that could still bind it.</summary>
    public FailsafeNotice? EarlierConsent { get; init; }

    /// <summary>Number of runs so far.</summary>
    public long Runs { get; private set; }

    /// <summary>Called after each run with its duration and the decision's code.</summary>
    public Action<TimeSpan, string>? RunEnded { get; set; }

    /// <summary>Runs until the decision ends the process.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _watch.Changed += OnWatch;
        _keeper.Adopt(_timing);
        var keeping = _keeper.RunAsync(stop.Token);
        try
        {
            while (true)
            {
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
            await keeping;
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
        _jobs.Dispose();
        Signal.Dispose();
    }

    // Not CancelAsync, which goes over the thread pool: what hangs on this token ends at once.
    private static void Cancel(CancellationTokenSource source) => source.Cancel();

    private TimeSpan Now() => _time.GetElapsedTime(_startedAt);

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * _time.TimestampFrequency);

    /// <summary>A run finished within loop_wait and the time of its two longest requests.</summary>
    private bool IsAlive() =>
        _time.GetElapsedTime(Volatile.Read(ref _lastRunAt)) < _timing.LoopWait + (2 * _timing.RetryTimeout);

    private void OnConviction(long? until)
    {
        if (until is { } timestamp)
        {
            _guard.ExtendUntil(timestamp);
        }
        var leads = _keeper.View.HoldsLeader;
        _board.Update(status => status with { LeaderUntil = until is not null && leads ? until : null });
    }

    private void OnWatch(ClusterView view)
    {
        _keeper.Observe(view.Snapshot);
        if (WakeRules.Matters(_board.Current.Cluster, view.Snapshot, _member.Name) || view.IsLive == _board.Current.IsDcsSilent)
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
            _events.Append("failover", "promoted", phases, observation.Lease.Term, observation.Local.Timeline);
            LogFailover(phases);
        }
        var decision = Decide(observation);
        _memory = decision.Memory with { PreviousPosition = observation.Local.WalPosition };
        Announce(observation, decision);
        Publish(observation, decision);
        var carried = _learned;
        using var bound = WithinLease(observation, cancellationToken);
        _learned = await _performer.PerformAsync(
            decision.Actions,
            new Performer.Run(observation, _member, _config) { Now = Now },
            bound.Token);
        if (_learned.InitializeRevision != 0)
        {
            _memory = _memory with { InitializeRevision = _learned.InitializeRevision };
        }
        _learned = _learned with
        {
            Peers = _learned.Peers ?? carried.Peers,
            FailsafeUntil = _learned.FailsafeUntil ?? carried.FailsafeUntil,
            FailsafeAskedAt = _learned.FailsafeAskedAt ?? carried.FailsafeAskedAt,
        };
        if (decision.WakeIn != TimeSpan.Zero)
        {
            // In the middle of a race or a promotion every write would only delay the next step.
            await TendKeysAsync(observation, bound.Token);
            await TendServerAsync(observation, bound.Token);
        }
        cancellationToken.ThrowIfCancellationRequested();
        Volatile.Write(ref _lastRunAt, _time.GetTimestamp());
        RunEnded?.Invoke(_time.GetElapsedTime(began), decision.Code);
        return NextRun(observation, decision);
    }

    /// <summary>What a run does may not outlast the lease: then a primary has to be stopped, and only the next run does that.</summary>
    private TimedToken WithinLease(Observation observation, CancellationToken cancellationToken)
    {
        var lease = _keeper.View;
        var left = lease.LeaderLeft - observation.SafetyMargin;
        return lease.HoldsLeader && left > TimeSpan.Zero
            ? TimedToken.After(left, _time, cancellationToken)
            : TimedToken.With(cancellationToken);
    }

    /// <summary>The next run at the latest: what the decision says, the end of the lease, the heartbeat.</summary>
    private TimeSpan NextRun(Observation observation, Decision decision)
    {
        // On whole multiples of loop_wait, where the watch and the keeper have their moments too: an idle agent wakes once for all three.
        var aligned = WatchPace.UntilNext(_timing.LoopWait, _time);
        var wait = aligned < _timing.LoopWait ? aligned : _timing.LoopWait;
        if (decision.WakeIn is { } soon && soon < wait)
        {
            wait = soon;
        }
        var lease = _keeper.View;
        if (lease.HoldsLeader && observation.Local.HasProcess)
        {
            var margin = lease.LeaderLeft - observation.SafetyMargin;
            if (margin > TimeSpan.Zero && margin < wait)
            {
                wait = margin + TimeSpan.FromMilliseconds(1);
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
            while (view.IsLive && view.Snapshot.Revision < _learned.WrittenRevision)
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
        _observedAt = observedAt;
        var view = _watch.Current;
        // A watch that is live has had a sign of life a moment ago, though nothing changed for long.
        _confirmedAt = view.IsLive ? observedAt : view.LastContact;
        var snapshot = view.Snapshot.Revision == 0 ? null : WithOwnLeaderKey(view.Snapshot);
        if (snapshot is not null)
        {
            NameKeyProblems(snapshot);
            AdoptConfig(snapshot);
        }
        var status = _board.Current;
        var consent = status.Failsafe ?? EarlierConsent;
        var now = _time.GetTimestamp();
        return new Observation
        {
            Self = _member.Name,
            Options = new MemberOptions(
                _member.Tags, _member.MayBootstrap, _guard.WatchdogProblem, _member.CanCloneWithoutLeader,
                _config.StandbyCluster is null ? null : "a standby cluster is configured, and this version does not run one"),
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
                _learned.FailsafeUntil is { } until ? _time.GetElapsedTime(now, until) : TimeSpan.Zero,
                _learned.FailsafeAskedAt,
                consent?.Name,
                consent is { } notice ? _timing.Ttl - _time.GetElapsedTime(notice.ReceivedAt, now) : TimeSpan.Zero),
            Now = Now(),
            Clock = _time.GetUtcNow(),
            ShutdownRequested = _shutdown,
            Memory = _memory,
        };
    }

    /// <summary>What we know of the leader key from our own writes may be newer than the watch.</summary>
    private ClusterSnapshot WithOwnLeaderKey(ClusterSnapshot snapshot)
    {
        if (_keeper.Held is { } held && held.ModRevision > snapshot.Revision)
        {
            return snapshot with { Leader = held };
        }
        if (snapshot.Leader is { } leader && leader.Holder == _member.Name && leader.Term <= _keeper.ReleasedTerm)
        {
            return snapshot with { Leader = null };
        }
        return snapshot;
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
        if (snapshot.Config is { } config && config.ModRevision != _config.ModRevision)
        {
            _config = config;
            foreach (var problem in config.Problems)
            {
                LogConfigProblem(problem);
            }
        }
        var allFenced = _guard.IsFenced && snapshot.Members.Values.All(m => m.Name == _member.Name || m.Routing is { Fence: true });
        var timing = _config.Timing.Corrected(allFenced ? Timing.FencedMinimum : Timing.CommonMinimum);
        if (timing != _timing)
        {
            _timing = timing;
            LogTiming(timing.Ttl.TotalSeconds, timing.LoopWait.TotalSeconds, timing.RetryTimeout.TotalSeconds);
            _keeper.Adopt(timing);
        }
    }

    private void GuardPrimary(Observation o)
    {
        var mayWrite = o.Job?.Kind is JobKind.Promote or JobKind.StartPrimary
            || o.Local.AcceptsWrites || o.Local is { Server: ServerState.Starting, HasRecoverySignal: false };
        if (mayWrite && !o.Paused && o.Local.PostmasterPid > 0 && o.Lease.HoldsLeader)
        {
            _guard.Arm(o.Local.PostmasterPid);
        }
        else if (!mayWrite || o.Paused)
        {
            _guard.Disarm();
        }
    }

    /// <summary>One sentence of reason per change of decision, to the log and to the diary.</summary>
    private void Announce(Observation o, Decision decision)
    {
        var term = o.Cluster?.Leader?.Term ?? default;
        var reason = $"{(o.Paused ? "PAUSE: " : "")}{decision.Reason}";
        if (reason != _lastReason)
        {
            _lastReason = reason;
            LogDecision(reason, decision.Code);
            _events.Append("reason", decision.Code, reason, term, o.Local.Timeline);
        }
        if (o.Leader != _lastLeader)
        {
            LogLeader(o.Leader ?? "nobody", _member.Name, term.Revision);
            _events.Append("leader", o.Leader is null ? "leader_gone" : "leader_changed",
                $"the leader is {o.Leader ?? "nobody"}", term, o.Local.Timeline);
            _lastLeader = o.Leader;
        }
        var role = Published.Role(o);
        if (role != _lastRole)
        {
            _events.Append("role", role.ToWire(), $"the role is {role.ToWire()}", term, o.Local.Timeline);
            _lastRole = role;
        }
        if (o.Ended is { Result: JobResult.Done } ended)
        {
            RunCallback(ended.Kind);
        }
        if (_callbackRole is null && o.Local.Server == ServerState.Running && o.Job is null && _memory.BootstrapFailure is null)
        {
            // PostgreSQL was running already when this agent started.
            _callbackRole = role;
            _postgres.RunCallback("on_start", role);
        }
    }

    /// <summary>The operator's callbacks. A change of role takes the place of the start that it came with.</summary>
    private void RunCallback(JobKind ended)
    {
        Role? role = ended switch
        {
            JobKind.Promote or JobKind.StartPrimary or JobKind.Bootstrap => Role.Primary,
            JobKind.StartStandby => Role.Replica,
            _ => null,
        };
        if (role is { } now)
        {
            _postgres.RunCallback(_callbackRole is { } before && before != now ? "on_role_change" : "on_start", now);
            _callbackRole = now;
        }
        else if (ended == JobKind.Demote)
        {
            _postgres.RunCallback("on_stop", _callbackRole ?? Role.Replica);
        }
    }

    private void Publish(Observation o, Decision decision)
    {
        _board.Update(status => status with
        {
            Cluster = o.Cluster,
            ClusterConfirmedAt = o.Cluster is null ? null : _confirmedAt,
            ClusterConfirmedTime = o.Cluster is null ? null : _time.GetUtcNow() - _time.GetElapsedTime(_confirmedAt),
            IsDcsSilent = !o.IsDcsLive,
            Config = o.Config,
            Timing = o.Timing,
            Postgres = o.Local,
            ObservedAt = _observedAt,
            State = Published.State(o),
            Role = Published.Role(o),
            IsInArchiveRecovery = Published.ReplicationState(o) == "in archive recovery",
            LastFailover = _failover.Last,
            Term = o.Lease.HoldsLeader ? o.Lease.Term : o.Cluster?.Leader?.Term ?? default,
            Tags = _member.Tags,
            WatchdogProblem = o.Options.WatchdogProblem,
            SystemId = o.Local.Control?.SystemId,
            FailsafeUntil = _learned.FailsafeUntil,
            ReasonCode = decision.Code,
            Reason = decision.Reason,
            JobInProgress = o.Job is { } job ? HaLoop.Name(job.Kind) : null,
            Fence = !_guard.IsFenced ? FenceState.None : o.Local.AcceptsWrites ? FenceState.Armed : FenceState.Idle,
        });
    }

    /// <summary>The keys that this member keeps: its own, and as the leader the status and the failsafe members.</summary>
    private async Task TendKeysAsync(Observation o, CancellationToken cancellationToken)
    {
        if (o.Cluster is null || !o.IsDcsLive || _learned.ExitCode is not null)
        {
            return;
        }
        using var limit = TimedToken.After(_timing.RetryTimeout, _time, cancellationToken);
        try
        {
            // What the job that has just been started changes is told at once, not with the next run.
            var present = o with { Job = _jobs.Current, Ended = null, Memory = _memory };
            await _publisher.PublishAsync(
                MemberRecord(present), o.Cluster.Members.GetValueOrDefault(_member.Name), _timing.LoopWait, limit.Token);
            if (o.Lease.HoldsLeader && o.Local is { IsPrimary: true, Server: ServerState.Running } && _keeper.View.HoldsLeader)
            {
                await TendLeaderKeysAsync(o, limit.Token);
            }
        }
        catch (OperationCanceledException)
        {
            LogKeysNotWritten("no answer in time");
        }
        catch (ClusterStoreException problem)
        {
            LogKeysNotWritten(problem.Message);
        }
    }

    private Member MemberRecord(Observation o)
    {
        var role = Published.Role(o);
        var state = Published.State(o);
        var running = state is PostgresState.Running or PostgresState.Starting or PostgresState.Restarting && o.Local.HasProcess;
        return new Member
        {
            Name = _member.Name,
            ConnUrl = _member.ConnUrl,
            ApiUrl = _member.ApiUrl,
            ProxyUrl = _member.ProxyUrl,
            State = state,
            Role = role,
            Version = RoutingVersion.Compatible,
            CheckpointAfterPromotePending = o.Lease.HoldsLeader && !(o.Local.IsPrimary && o.Local.CheckpointedSincePromotion),
            Tags = o.Memory.LeavingSince is null ? _member.Tags : LeaveSet.Publish(_member.Tags),
            PendingRestart = !o.Local.PendingRestart.IsEmpty,
            PendingRestartReason = o.Local.PendingRestart,
            XlogLocation = running && o.Local.WalPosition > Lsn.Zero ? o.Local.WalPosition : null,
            ReceiveLsn = running && !o.Local.IsPrimary && o.Local.ReceivedLsn > Lsn.Zero ? o.Local.ReceivedLsn : null,
            ReplayLsn = running && !o.Local.IsPrimary && o.Local.ReplayedLsn > Lsn.Zero ? o.Local.ReplayedLsn : null,
            ReplicationState = running ? Published.ReplicationState(o) : null,
            Timeline = running && o.Local.Timeline > 0 ? o.Local.Timeline : null,
            Pause = o.Paused,
            Routing = new RoutingExtension(RoutingVersion.Own, _guard.IsFenced),
        };
    }

    private async Task TendLeaderKeysAsync(Observation o, CancellationToken cancellationToken)
    {
        var plan = PlanSlots(o);
        var seen = o.Cluster!.Status;
        var status = new LeaderStatus(o.Local.WalPosition, plan.PublishedSlots ?? seen.Slots, 
            // Our own slot too: should we go, the next leader keeps the WAL that we need to come back.
            (plan.RetainSlots ?? seen.RetainSlots).Add(ReplicationSlotName.FromMember(_member.Name)));
        var text = KeyWriter.Status(status);
        if (text != _statusWritten && _time.GetElapsedTime(_statusWrittenAt) >= _timing.LoopWait * 0.9)
        {
            var outcome = await _store.PutAsync(ClusterKeys.Status, text, WriteCondition.Always, 0, cancellationToken);
            if (outcome.IsDone)
            {
                (_statusWritten, _statusWrittenAt) = (text, _time.GetTimestamp());
            }
        }
        if (o.Config.FailsafeMode)
        {
            var members = o.Cluster.Members.Values.Where(m => m.ApiUrl is not null && m.Name != _member.Name)
                .Select(m => KeyValuePair.Create(m.Name, m.ApiUrl!))
                .Append(KeyValuePair.Create(_member.Name, _member.ApiUrl))
                .ToImmutableSortedDictionary(StringComparer.Ordinal);
            var failsafe = KeyWriter.Failsafe(members);
            if (failsafe != _failsafeWritten || o.Cluster.Failsafe is null)
            {
                var outcome = await _store.PutAsync(ClusterKeys.Failsafe, failsafe, WriteCondition.Always, 0, cancellationToken);
                _failsafeWritten = outcome.IsDone ? failsafe : "";
            }
        }
    }

    private SlotPlan PlanSlots(Observation o)
    {
        var plan = SlotPlanner.Plan(new SlotObservation
        {
            Self = _member.Name,
            Cluster = o.Cluster!,
            Config = o.Config,
            Tags = _member.Tags,
            IsLeader = o.Lease.HoldsLeader,
            IsPrimary = o.Local.IsPrimary,
            ServerMajor = o.Local.ServerVersion / 10000,
            Slots = o.Local.Slots,
            Lsn = o.Local.WalPosition,
            ReplayLsn = o.Local.ReplayedLsn,
            Now = o.Now,
            Memory = _slotMemory,
        });
        _slotMemory = plan.Memory;
        return plan;
    }

    /// <summary>The configuration comes before every job that uses it: a start, a copy, a bootstrap.</summary>
    private async Task ApplyConfigurationAsync(Observation o, CancellationToken cancellationToken)
    {
        if (_jobs.Current is not null || o.Cluster is null || (!_reload && _appliedConfigRevision == _config.ModRevision))
        {
            return;
        }
        var reload = _reload;
        _appliedConfigRevision = _config.ModRevision;
        _reload = false;
        var result = await _postgres.ApplyConfigurationAsync(_config, reload, cancellationToken);
        if (!result.Ok)
        {
            LogConfigProblem(result.Detail);
        }
        if (reload && o.Local.HasProcess)
        {
            _postgres.RunCallback("on_reload", Published.Role(o));
        }
    }

    /// <summary>What the server needs besides its role: the settings of this role, and its slots.</summary>
    private async Task TendServerAsync(Observation o, CancellationToken cancellationToken)
    {
        if (_jobs.Current is not null || o.Cluster is null)
        {
            return;
        }
        if (o.Local.Server == ServerState.Running && _appliedAsPrimary != o.Local.IsPrimary)
        {
            // A start writes what its role needs; a promotion has no time for that, and is over now.
            _appliedAsPrimary = o.Local.IsPrimary;
            var result = await _postgres.ApplyConfigurationAsync(_config, force: false, cancellationToken);
            if (!result.Ok)
            {
                _appliedAsPrimary = null;
                LogConfigProblem(result.Detail);
            }
        }
        if (o.Local.Server == ServerState.Running && o.Leader is not null && o.Config.UseSlots)
        {
            var plan = PlanSlots(o);
            if (plan.Actions.Length > 0)
            {
                var result = await _postgres.MaintainSlotsAsync(plan, cancellationToken);
                if (!result.Ok)
                {
                    LogSlots(result.Detail);
                }
            }
        }
    }

    [LoggerMessage(EventId = 1001, Level = LogLevel.Information, Message = "This member {Reason} [{Code}]")]
    private partial void LogDecision(string reason, string code);

    [LoggerMessage(EventId = 1002, Level = LogLevel.Information, Message = "Lock owner: {Leader}; I am {Self} (term {Term})")]
    private partial void LogLeader(string leader, string self, long term);

    [LoggerMessage(EventId = 1003, Level = LogLevel.Warning, Message = "Dynamic configuration: {Problem}")]
    private partial void LogConfigProblem(string problem);

    [LoggerMessage(EventId = 1004, Level = LogLevel.Information, Message = "Times in force: ttl {Ttl} s, loop_wait {LoopWait} s, retry_timeout {RetryTimeout} s")]
    private partial void LogTiming(double ttl, double loopWait, double retryTimeout);

    [LoggerMessage(EventId = 1008, Level = LogLevel.Warning, Message = "The key {Key} cannot be used as it is: {Problem}")]
    private partial void LogKeyProblem(string key, string problem);

    [LoggerMessage(EventId = 1007, Level = LogLevel.Information, Message = "promoted self to leader by acquiring session lock; {Phases}")]
    private partial void LogFailover(string phases);

    [LoggerMessage(EventId = 1005, Level = LogLevel.Warning, Message = "Keys could not be written: {Problem}")]
    private partial void LogKeysNotWritten(string problem);

    [LoggerMessage(EventId = 1006, Level = LogLevel.Warning, Message = "Replication slots: {Problem}")]
    private partial void LogSlots(string problem);
}
