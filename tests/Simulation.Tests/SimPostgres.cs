using System.Collections.Immutable;
using Routing.Agent.Postgres;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Simulation.Tests;

/// <summary>The verbs of one agent's life on its node's server. It dies with the agent; the server does not.</summary>
internal sealed partial class SimPostgres(
    SimWorld world, SimNetwork network, SimServer server, TimeProvider time, SimOptions options) : IPostgres
{
    private static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(250);

    /// <summary>A program gives a silent source up.</summary>
    private static readonly TimeSpan s_keepalive = TimeSpan.FromSeconds(20);

    private LocalPostgres? _last;
    private bool _isFilling;   // the bootstrap of this agent, and of no earlier one
    private bool? _needsFeedback;   // null: by the configuration, which has a logical slot
    private int _promotionAskedOf;
    private int _readsOf;
    private long _readAt;

    /// <summary>Called when a promotion or a start as primary begins.</summary>
    public Action<string>? TakesOver { get; set; }

    /// <summary>Called when a verb begins that can be interrupted in the middle.</summary>
    public Action<string>? LongVerbBegins { get; set; }

    public async ValueTask<LocalPostgres> ObserveAsync(CancellationToken cancellationToken)
    {
        if (server.IsUnresponsive && server.Life == Life.Up)
        {
            await Delay(1500, 2000, cancellationToken);
            if (server.IsUnresponsive && server.Life == Life.Up)
            {
                return (_last ?? Look()) with { Server = ServerState.Unresponsive, PostmasterPid = server.Pid };
            }
        }
        await Delay(0.5, 4, cancellationToken);
        return _last = Look();
    }

    public async Task<StartOutcome> StartAsync(StartPlan plan, CancellationToken cancellationToken)
    {
        if (plan.AsPrimary)
        {
            TakesOver?.Invoke("starts as primary");
        }
        if (server.IsAlone)
        {
            return StartOutcome.Failed;   // "lock file postmaster.pid already exists"
        }
        LongVerbBegins?.Invoke("a start");
        server.Start(plan.AsPrimary, plan.Upstream);
        if (server.Pid != 0)
        {
            plan.OnPostmaster?.Invoke(server.Pid);
        }
        await UntilAsync(() => server.Life != Life.Starting, plan.Timeout ?? TimeSpan.FromSeconds(60),
            cancellationToken);
        return server.Life switch
        {
            Life.Up => StartOutcome.Running,
            Life.Starting => StartOutcome.StillStarting,
            _ => StartOutcome.Failed,
        };
    }

    public async Task<StepResult> StopAsync(StopPlan plan, CancellationToken cancellationToken)
    {
        if (server.Life == Life.Down)
        {
            return StepResult.Done("was not running");
        }
        if (!plan.IsUrgent || options.StopsAreNeverUrgent)
        {
            if (plan.Checkpoint)
            {
                await CheckpointAsync(plan.CheckpointLimit, cancellationToken);
            }
            var hook = server.Times.BeforeStop();
            await Task.Delay(hook < plan.BeforeStopLimit ? hook : plan.BeforeStopLimit, time, cancellationToken);
        }
        var began = time.GetTimestamp();
        if (plan.Mode == StopMode.Fast)
        {
            server.StopFast();
            var told = false;
            while (server.Life != Life.Down)
            {
                if (!told && server.Control == ControlState.ShutDown)
                {
                    told = true;
                    if (plan.OnShutdownCheckpoint is { } tell)
                    {
                        await tell(new Lsn(server.Checkpoint), cancellationToken);
                    }
                }
                if (plan.EscalateAfter is { } patience && time.GetElapsedTime(began) >= patience)
                {
                    break;
                }
                await Delay(5, 10, cancellationToken);
            }
            if (server.Life == Life.Down)
            {
                return StepResult.Done("stopped");
            }
        }
        await Delay(0.2, 5, cancellationToken);
        server.Kill("SIGQUIT from the agent");
        return StepResult.Done("stopped at once");
    }

    public async Task<StepResult> PromoteAsync(uint usedTimeline, TimeSpan timeout, CancellationToken cancellationToken)
    {
        TakesOver?.Invoke("promotes");
        LongVerbBegins?.Invoke("a promotion");
        await Delay(0.5, 10, cancellationToken);
        if (server.Life != Life.Up)
        {
            return StepResult.Failed("PostgreSQL does not run");
        }
        _promotionAskedOf = server.Pid;
        server.Promote(usedTimeline, options.PromotionTime(world));
        await UntilAsync(() => server.AcceptsWrites || server.Life != Life.Up, timeout, cancellationToken);
        return server.AcceptsWrites ? StepResult.Done("is a primary")
            : StepResult.Failed("it was not promoted in time");
    }

    public async Task<StepResult> FollowAsync(Upstream? upstream, CancellationToken cancellationToken)
    {
        if (options.PromotesItself)
        {
            return await PromoteAsync(0, TimeSpan.FromSeconds(10), cancellationToken);
        }
        await Delay(2, 50, cancellationToken);
        server.Follow(upstream);
        return StepResult.Done("reloaded");
    }

    public Task<StepResult> CheckpointAsync(CancellationToken cancellationToken) =>
        CheckpointAsync(null, cancellationToken);

    public async Task<RestartResult> RestartAsync(
        RestartPlan plan, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var stopped = await StopAsync(plan.Stop, cancellationToken);
        if (!stopped.Ok)
        {
            return new RestartResult(null, stopped.Detail);
        }
        cancellationToken.ThrowIfCancellationRequested();
        return plan.MayStart()
            ? new RestartResult(await StartAsync(plan.Start, cancellationToken), "restarted")
            : new RestartResult(null, "does not lead any more") { MustNotStart = true };
    }

    public async Task<StepResult> SetSynchronousStandbyNamesAsync(string? names, CancellationToken cancellationToken)
    {
        await Delay(1, 30, cancellationToken);
        server.SetSynchronousStandbyNames(names ?? "");
        return StepResult.Done("reloaded");
    }

    public void LeadStandbyCluster(bool leads)
    {
        // it has no settings of its own
    }

    public void NeedFeedback(bool isNeeded) => _needsFeedback = isNeeded;

    public async Task<StepResult> ApplyConfigurationAsync(
        DynamicConfig config, bool force, CancellationToken cancellationToken)
    {
        if (options.SettingsTake() is var needed && needed > TimeSpan.Zero)
        {
            await Task.Delay(needed, time, cancellationToken);
        }
        server.SendsFeedback = options.HasSlots && _needsFeedback != false && !options.AssumesFeedback;
        return StepResult.Done("is configured");
    }

    public async ValueTask<(int? Transactions, ImmutableArray<string> Oldest)> TransactionsAsync(
        CancellationToken cancellationToken)
    {
        await Delay(0.5, 4, cancellationToken);
        return server.Life != Life.Up || server.IsUnresponsive || world.Chance(0.1) ? (null, [])
            : (world.Chance(0.6) ? 0 : 1, []);
    }

    public void RunCallback(string action, Role role)
    {
        // no callbacks are configured
    }

    private async Task<StepResult> CheckpointAsync(TimeSpan? limit, CancellationToken cancellationToken)
    {
        var takes = server.Times.Checkpoint();
        await Task.Delay(limit is { } most && most < takes ? most : takes, time, cancellationToken);
        if (takes > limit)
        {
            return StepResult.Failed("wrote no checkpoint: it took too long");
        }
        server.WriteCheckpoint();
        return StepResult.Done("wrote a checkpoint");
    }

    private bool Reaches(SimServer other) => other.Life == Life.Up && network.CanTalk(server.Name, other.Name);

    private Task Delay(double leastMs, double mostMs, CancellationToken cancellationToken) =>
        Task.Delay(world.Between(leastMs, mostMs), time, cancellationToken);

    private async Task UntilAsync(Func<bool> condition, TimeSpan? limit, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        while (!condition() && (limit is not { } most || time.GetElapsedTime(began) < most))
        {
            await Delay(10, 30, cancellationToken);
        }
    }

    /// <summary>The agent reads the end of the WAL from the files of a server that it has not seen before.</summary>
    private bool KnowsEndOfWal()
    {
        if (_readsOf != server.Pid)
        {
            (_readsOf, _readAt) = (server.Pid, time.GetTimestamp() + world.Between(1, 800).Ticks);
        }
        return time.GetTimestamp() >= _readAt;
    }

    private LocalPostgres Look()
    {
        if (server.IsEmpty || (server is { IsMarkedUnfinished: true, Life: Life.Down } && !options.ForgetsUnfinished))
        {
            return server.RestoreId is { } interrupted
                ? new LocalPostgres
                {
                    Data = DataDirectory.Empty, Damage = DataDamage.Restored, RestoreId = interrupted,
                }
                : new LocalPostgres { Data = DataDirectory.Empty };
        }
        if (server.IsMarkedUnfinished && server.Life != Life.Down && !_isFilling && !options.ForgetsUnfinished)
        {
            // An earlier agent began to make this cluster and did not end: its server must not go on.
            return new LocalPostgres
            {
                Data = DataDirectory.Inaccessible, DataProblem = "its bootstrap was begun by an earlier agent",
                Server = ServerState.Unresponsive, IsPrimary = server.IsPrimary, PostmasterPid = server.Pid,
            };
        }
        var state = server.Life switch
        {
            Life.Down => ServerState.Stopped,
            Life.Starting => ServerState.Starting,
            Life.Up => ServerState.Running,
            _ => ServerState.Unresponsive,
        };
        if (server.IsAlone && options.AdoptsSingleUser)
        {
            state = ServerState.Starting;
        }
        var stopped = state == ServerState.Stopped;
        var end = new Lsn(server.End);
        var isEndKnown = server.IsPrimary || stopped || options.VotesWithReplay || KnowsEndOfWal();
        var received = isEndKnown && (server.HasStreamed || !options.VotesWithReplay) ? end : Lsn.Zero;
        var replayed = new Lsn(server.ReplayedTo);
        var fromControl = server.Control is ControlState.ShutDownInRecovery or ControlState.InArchiveRecovery
            ? server.MinimumRecoveryEnd
            : server.Checkpoint;
        return new LocalPostgres
        {
            Data = DataDirectory.Ready,
            Control = new ControlFile(
                server.SystemId!, server.Control, server.ControlTimeline, new Lsn(server.Checkpoint),
                new Lsn(server.MinimumRecoveryEnd),
                server.Timeline, true, true),
            Server = state,
            IsPrimary = server.IsPrimary,
            RestoreId = server.RestoreId,
            ReplayPaused = server.IsAtTarget,
            Damage = server.RestoreId is not null ? DataDamage.Restored
                : server.IsToBeReplaced ? DataDamage.ToBeReplaced
                : options.LeavesNoMark ? DataDamage.None
                : server.Damage == SimDamage.HalfRewound ? DataDamage.HalfRewound
                : server.IsKnownDiverged ? DataDamage.Diverged : DataDamage.None,
            IsWalEndUnknown = !isEndKnown,
            ShutdownEnd = stopped && server.Control == ControlState.ShutDown ? end : null,
            HasRecoverySignal = server.HasStandbySignal && !(server.IsAlone && options.AdoptsSingleUser),
            Timeline = server.Timeline,
            WalPosition = stopped ? new Lsn(fromControl) : server.IsPrimary ? end : Lsn.Max(received, replayed),
            ReceivedLsn = server.IsPrimary ? default : received,
            ReplayedLsn = server.IsPrimary ? default : replayed,
            IsStreaming = server.StreamsFrom is not null,
            Following = server.Upstream,
            ServerVersion = 150000,
            PostmasterPid = server.Pid,
            PostmasterStart = options.HasSlots && server.Pid != 0 ? server.StartedAt : null,
            SessionsHaveEnded = server.Life == Life.Stopping,
            PromotionAsked = server.Pid != 0 && server.Pid == _promotionAskedOf,
            Standbys = server.Rows(),
            Slots = options.HasSlots ? server.SlotRows() : [],
            SynchronousStandbyNames = server.SynchronousStandbyNames,
            CheckpointedSincePromotion = server.IsPrimary && server.ControlTimeline == server.Timeline,
            History = server.IsPrimary
                ? [.. server.History.Select(
                    h => new HistoryLine(h.Timeline, new Lsn(h.SwitchPoint), "no recovery target specified",
                        "2026-01-01T00:00:00+00:00", null))]
                : [],
            RewindPossible = options.RewindPossible,
            MayRemoveDivergedData = options.MayRemoveDivergedData,
            MayRemoveAfterFailedRewind = options.MayRemoveDivergedData,
        };
    }
}
