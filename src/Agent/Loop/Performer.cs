using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Routing.Agent.Postgres;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>Does what the decision says. The only place of the loop with effects.</summary>
internal sealed partial class Performer(
    IClusterStore store, LeaseKeeper keeper, StatusKey status, IPostgres postgres, IPeers peers, IPrimaryGuard guard,
    JobSlot jobs, OrderDesk orders, LoopSignal signal, LoopClock clock, TimeProvider time, ILogger<Performer> logger)
{
    /// <summary>The longest that a peer may take to answer before it counts as unreachable.</summary>
    private static readonly TimeSpan s_peerLimit = TimeSpan.FromSeconds(2);

    /// <summary>The same for members whose agent is ours: their REST answers from memory.</summary>
    private static readonly TimeSpan s_fastPeerLimit = TimeSpan.FromMilliseconds(700);

    /// <summary>An immediate stop needs some 30 ms; a server that takes this long is killed.</summary>
    private static readonly TimeSpan s_quitLimit = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan s_leastLimit = TimeSpan.FromMilliseconds(50);

    private Task _checkpoint = Task.CompletedTask;

    /// <summary>Performs the actions in order; one that fails ends the run.</summary>
    public async Task<Learned> PerformAsync(
        ImmutableArray<HaAction> actions, PerformedRun run, CancellationToken cancellationToken)
    {
        var learned = new Learned();
        foreach (var action in actions)
        {
            var (ok, next) = await TryPerformAsync(action, run, learned, cancellationToken);
            learned = next;
            if (!ok)
            {
                break;
            }
        }
        return learned;
    }

    private async Task<(bool Ok, Learned Learned)> TryPerformAsync(
        HaAction action, PerformedRun run, Learned learned, CancellationToken cancellationToken)
    {
        try
        {
            return await PerformAsync(action, run, learned, cancellationToken);
        }
        catch (ClusterStoreException problem)
        {
            LogNotDone(action.GetType().Name, "failed", problem.Message);
        }
        catch (OperationCanceledException)
        {
            LogNotDone(action.GetType().Name, "failed", "no answer in time");
        }
        return (false, learned);
    }

    private async Task<(bool Ok, Learned Learned)> PerformAsync(
        HaAction action, PerformedRun run, Learned learned, CancellationToken cancellationToken)
    {
        if (action.IsJob)
        {
            return (StartJob(action, run), learned);
        }
        switch (action)
        {
            case HaAction.AcquireLeader:
                if (!run.Config.Pause && !guard.Prepare(run.Observation.Timing))
                {
                    LogNotDone(nameof(HaAction.AcquireLeader), "not begun", guard.WatchdogProblem ?? "");
                    return (false, learned);
                }
                var won = await keeper.AcquireAsync(
                    AcquireLimit(run.Observation), RaceBasis.Of(run.Observation.Cluster!), cancellationToken);
                if (won is { Outcome: LeaseOutcome.Lost, Leader: { } winner })
                {
                    LogRaceLost(winner.Holder);
                }
                return (won.Outcome == LeaseOutcome.Held, learned);
            case HaAction.AttachLeader:
                var kept = await keeper.AttachAsync(cancellationToken);
                return (kept.Outcome == LeaseOutcome.Held, learned);
            case HaAction.ReleaseLeader release:
                return Report(action, await ReleaseAsync(release.Optime, run, cancellationToken), learned);
            case HaAction.RaceInitialize:
                var lease = await keeper.LeaseForKeysAsync(cancellationToken);
                if (lease == 0)
                {
                    return (false, learned);
                }
                // On our lease: should we die while bootstrapping, the scope is free again.
                var race =
                    await store.PutAsync(ClusterKeys.Initialize, "", WriteCondition.Absent, lease, cancellationToken);
                return (race.IsDone,
                    Seen(learned with { InitializeRevision = race.IsDone ? race.Revision : 0 }, race.Revision));
            case HaAction.WriteInitialize write:
                return Report(action, await store.PutAsync(
                    ClusterKeys.Initialize, write.SystemId,
                    write.Revision is { } initializeRevision
                        ? WriteCondition.Unchanged(initializeRevision)
                        : WriteCondition.Always, 0,
                    cancellationToken), learned);
            case HaAction.WriteConfig:
                var config = run.Config.Raw.EnumerateObject().Any() ? run.Config.Raw : run.Member.InitialConfig;
                return Report(action, await store.PutAsync(
                    ClusterKeys.Config, JsonSerializer.Serialize(config, JsonContext.Default.JsonElement),
                    run.Observation.Cluster?.Config is null ? WriteCondition.Always : WriteCondition.Absent, 0,
                    cancellationToken), learned);
            case HaAction.ClearFailover clear:
                return Report(action, await store.PutAsync(
                    ClusterKeys.Failover, KeyWriter.NoFailover,
                    clear.Revision is { } revision ? WriteCondition.Unchanged(revision) : WriteCondition.Always, 0,
                    cancellationToken), learned);
            case HaAction.WriteSync sync:
                var wrote = await store.PutAsync(
                    ClusterKeys.Sync, KeyWriter.Sync(sync.State.Leader, sync.State.Standbys, sync.State.Quorum),
                    WriteCondition.Unchanged(sync.State.ModRevision), 0, cancellationToken);
                return Report(action, wrote, learned with { SyncRefused = wrote.Status == WriteStatus.Refused });
            case HaAction.DeleteSync delete:
                return Report(action, await store.DeleteAsync(
                    ClusterKeys.Sync, WriteCondition.Unchanged(delete.Revision), cancellationToken), learned);
            case HaAction.ReserveTimeline reserve:
                return Report(action, await store.PutAsync(
                    ClusterKeys.Timeline, reserve.Timeline.ToString(CultureInfo.InvariantCulture),
                    WriteCondition.Always, 0, cancellationToken), learned);
            case HaAction.WriteHistory history:
                return Report(action, await store.PutAsync(
                    ClusterKeys.History, KeyWriter.History(history.History), WriteCondition.Always, 0,
                    cancellationToken), learned);
            case HaAction.ProbePeers probe:
                return (true, learned with { Peers = await ProbeAsync(probe, run, cancellationToken) });
            case HaAction.AskFailsafe:
                return (true, await AskFailsafeAsync(run, learned, cancellationToken));
            case HaAction.SetSynchronousStandbys set:
                return ReportStep(action, await postgres.SetSynchronousStandbyNamesAsync(set.Names, cancellationToken),
                    learned);
            case HaAction.BeginCheckpoint:
                if (_checkpoint.IsCompleted)
                {
                    _checkpoint = CheckpointAsync();
                }
                return (true, learned);
            case HaAction.CancelJob:
                jobs.Cancel();
                await Task.WhenAny(jobs.Completion,
                    Task.Delay(TimeSpan.FromMilliseconds(500), time, cancellationToken));
                return (jobs.Current is null, learned);
            case HaAction.RefuseOrder refuse:
                LogOrderRefused(refuse.Refusal, refuse.Detail);
                orders.End(refuse.Id, new OrderEnd(null, refuse.Refusal, refuse.Detail));
                return (true, learned);
            case HaAction.OrderScheduledRestart:
                orders.OrderScheduled();
                return (true, learned);
            case HaAction.DropScheduledRestart:
                orders.TryUnschedule();
                return (true, learned);
            case HaAction.Exit exit:
                return (true, learned with { ExitCode = exit.Code });
            default:
                throw new InvalidOperationException($"The performer does not know the action {action}.");
        }
    }

    /// <summary>
    /// A primary that has lost the key accepts writes while it asks for it: without a quick answer it is stopped.
    /// </summary>
    private static TimeSpan? AcquireLimit(Observation o) =>
        o.Local.AcceptsWrites && !o.Paused
            ? TimeSpan.FromTicks(Math.Min(s_peerLimit.Ticks, o.Timing.Ttl.Ticks / 8))
            : null;

    private static Learned Seen(Learned learned, long revision) =>
        learned with { WrittenRevision = Math.Max(learned.WrittenRevision, revision) };

    private (bool, Learned) Report(HaAction action, WriteOutcome outcome, Learned learned)
    {
        if (!outcome.IsDone)
        {
            LogNotDone(action.GetType().Name, outcome.Status.ToString(), outcome.Problem ?? "");
        }
        return (outcome.IsDone, Seen(learned, outcome.Revision));
    }

    private (bool, Learned) ReportStep(HaAction action, StepResult result, Learned learned)
    {
        if (!result.Ok)
        {
            LogNotDone(action.GetType().Name, "failed", result.Detail);
        }
        return (result.Ok, learned);
    }

    private async Task CheckpointAsync()
    {
        try
        {
            var result = await postgres.CheckpointAsync(CancellationToken.None);
            if (!result.Ok)
            {
                LogNotDone(nameof(HaAction.BeginCheckpoint), "failed", result.Detail);
            }
        }
        catch (Exception problem)
        {
            LogNotDone(nameof(HaAction.BeginCheckpoint), "failed", problem.Message);
        }
        signal.Wake();
    }

    /// <summary>Publishes the position (carrying over what else stands there), then gives the key up.</summary>
    private async Task<WriteOutcome> ReleaseAsync(Lsn? optime, PerformedRun run, CancellationToken cancellationToken)
    {
        if (optime is { } position && position > Lsn.Zero && keeper.Held is { } held)
        {
            var seen = run.Observation.Cluster ?? ClusterSnapshot.Empty;
            var published = await status.PublishAsync(
                seen.Status with { Optime = position }, seen, held.Term, run.Observation.Memory.PromotedIn,
                cancellationToken);
            if (!published.IsDone)
            {
                LogNotDone("the last position", published.Status.ToString(), published.Problem ?? "");
            }
        }
        return await keeper.ReleaseAsync(cancellationToken);
    }

    private async Task<PeerAnswers> ProbeAsync(
        HaAction.ProbePeers probe, PerformedRun run, CancellationToken cancellationToken)
    {
        var askedAt = clock.Now;
        var limit = !probe.Patient && probe.Members.All(m => m.Routing is not null) ? s_fastPeerLimit : s_peerLimit;
        var reports = await peers.ProbeAsync(probe.Members, limit, cancellationToken);
        foreach (var report in reports)
        {
            if (logger.IsEnabled(LogLevel.Information))
            {
                LogPeer(report.Name, report.Reachable
                    ? $"{report.Role} at {report.Position}, timeline {report.Timeline}"
                    : report.Problem ?? "unreachable");
            }
        }
        return new PeerAnswers(askedAt, clock.Now,
            reports.ToImmutableSortedDictionary(r => r.Name, r => r, StringComparer.Ordinal));
    }

    private async Task<Learned> AskFailsafeAsync(PerformedRun run, Learned learned, CancellationToken cancellationToken)
    {
        var askedAt = clock.Now;
        var sentAt = time.GetTimestamp();
        var cluster = run.Observation.Cluster!;
        learned = learned with { FailsafeAskedAt = askedAt };
        if (cluster.Failsafe is not { } members || !members.ContainsKey(run.Member.Name))
        {
            return learned;   // we are not in the list: nobody may vouch for us
        }
        var others = members.Where(pair => pair.Key != run.Member.Name).ToList();
        var ttl = run.Observation.Timing.Ttl;
        var message =
            new FailsafeMessage(run.Member.Name, run.Member.ConnUrl, run.Member.ApiUrl, run.Slots()) { Ttl = ttl };
        // A peer that is silent must not cost the time in which a primary without consent has to stop.
        var patience = TimeSpan.FromTicks(Math.Min(s_peerLimit.Ticks, ttl.Ticks / 8));
        var replies = await peers.PostFailsafeAsync(others, message, patience, cancellationToken);
        foreach (var refusal in replies.Where(reply => !reply.Accepted))
        {
            LogNoConsent(refusal.Name, refusal.Detail);
        }
        if (replies.Any(reply => reply.Refused))
        {
            keeper.Withdraw();
        }
        if (replies.Length < others.Count || replies.Any(reply => !reply.Accepted))
        {
            return learned;
        }
        var until = sentAt + (long)(ttl.TotalSeconds * time.TimestampFrequency);
        keeper.Vouch(sentAt, until);
        return learned with
        {
            FailsafePositions = replies.Where(reply => reply.Position is not null)
                .ToImmutableSortedDictionary(
                    reply => reply.Name, reply => reply.Position!.Value, StringComparer.Ordinal),
        };
    }

    private bool StartJob(HaAction action, PerformedRun run)
    {
        // Frozen since the decision, or held up by another action, we may lead no more.
        var makesPrimary = action is HaAction.Promote or HaAction.StartPrimary or HaAction.Restart { AsPrimary: true };
        if (makesPrimary && !run.Config.Pause && !LeadsStill())
        {
            LogNotDone(action.GetType().Name, "not begun", "the lease ran out in the meantime");
            return false;
        }
        if (makesPrimary && !run.Config.Pause && !guard.Prepare(run.Observation.Timing))
        {
            // The key may be held for long: the device that could be opened then is asked again.
            LogNotDone(action.GetType().Name, "not begun", guard.WatchdogProblem ?? "");
            return false;
        }
        var (kind, work) = Job(action, run);
        if (action is HaAction.StartPrimary or HaAction.Promote
            && run.Observation.Local.PostmasterPid is > 0 and var pid)
        {
            guard.Arm(pid);
        }
        var hasBegun = jobs.TryStart(
            kind, SourceOf(action), work, (action as HaAction.Demote)?.Mode,
            action is HaAction.Restart { AsPrimary: true });
        if (hasBegun)
        {
            TellBegun(action);
        }
        return hasBegun;
    }

    /// <summary>The member that a job reads from.</summary>
    private static string? SourceOf(HaAction action) => action switch
    {
        HaAction.CopyMember copy => copy.Source,
        HaAction.CheckDivergence check => check.Primary,
        HaAction.Rewind rewind => rewind.Primary,
        _ => null,
    };

    private bool LeadsStill() =>
        keeper.View.Leads || (keeper.VouchedUntil is { } until && time.GetTimestamp() < until);

    private (JobKind, Func<IJobProgress, CancellationToken, Task<(JobResult, string)>>) Job(
        HaAction action, PerformedRun run)
    {
        // Before the first answer of the DCS only a demotion can be begun, which needs no member.
        var members = (run.Observation.Cluster ?? ClusterSnapshot.Empty).Members;
        return action switch
        {
            HaAction.Bootstrap => (JobKind.Bootstrap, async (p, t) => End(await postgres.BootstrapAsync(p, t))),
            HaAction.AbandonBootstrap => (JobKind.AbandonBootstrap, (_, t) => AbandonAsync(run, t)),
            HaAction.CopyMember copy => (copy.Replaces ? JobKind.Reinitialize : JobKind.Clone, async (p, t) =>
                End(await postgres.CloneAsync(
                    PlanOf(copy, copy.Source is { } source ? members[source] : null, p), p, t))),
            HaAction.StartPrimary start => (JobKind.StartPrimary, async (_, t) =>
                End(await postgres.StartAsync(
                    new StartPlan(true, null, start.Timeout) { OnPostmaster = guard.Arm }, t))),
            HaAction.StartStandby start => (JobKind.StartStandby, async (_, t) =>
                End(await postgres.StartAsync(new StartPlan(false, start.Upstream, null), t))),
            HaAction.Promote promote => (JobKind.Promote, async (_, t) =>
                End(await postgres.PromoteAsync(promote.UsedTimeline, PromotionLimit(run), t))),
            HaAction.Demote demote => (JobKind.Demote, (p, t) => DemoteAsync(demote, run, p, t)),
            HaAction.Follow follow =>
                (JobKind.Follow, async (_, t) => End(await postgres.FollowAsync(follow.Upstream, t))),
            HaAction.CheckDivergence check => (JobKind.CheckDivergence, async (_, t) =>
                End(await postgres.CheckDivergenceAsync(members[check.Primary], t))),
            HaAction.Rewind rewind => (JobKind.Rewind, (p, t) => RewindAsync(members[rewind.Primary], p, t)),
            HaAction.Restart restart => (JobKind.Restart, (p, t) => RestartAsync(restart, run, p, t)),
            _ => throw new InvalidOperationException($"The performer does not know the job {action}."),
        };
    }

    private static TimeSpan PromotionLimit(PerformedRun run) =>
        TimeSpan.FromSeconds(Math.Max(10, run.Observation.Timing.LoopWait.TotalSeconds * 6));

    private static (JobResult, string) End(StepResult result) =>
        (result.Ok ? JobResult.Done : JobResult.Failed, result.Detail);

    private (JobResult, string) End(StartOutcome outcome) => outcome switch
    {
        StartOutcome.Running => (JobResult.Done, "PostgreSQL accepts connections"),
        StartOutcome.StillStarting => (JobResult.StillStarting, "PostgreSQL is still starting"),
        _ => (JobResult.Failed, $"PostgreSQL did not start: {postgres.StartProblem}"),
    };

    private static (JobResult, string) End(DivergenceResult result) => result.Divergence switch
    {
        Divergence.None => (JobResult.Done, result.Detail),
        Divergence.Diverged => (JobResult.Diverged, result.Detail),
        _ => (JobResult.CannotTell, result.Detail),
    };

    /// <summary>
    /// A rewind that failed because its source went away says nothing about the data: it is tried again later.
    /// </summary>
    private async Task<(JobResult, string)> RewindAsync(
        Member primary, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var rewound = await postgres.RewindAsync(primary, progress, cancellationToken);
        if (rewound.Ok)
        {
            return (JobResult.Done, rewound.Detail);
        }
        if (rewound.IsObstacle)
        {
            return (JobResult.CannotTell, rewound.Detail);
        }
        var source = await postgres.CheckDivergenceAsync(primary, cancellationToken);
        return source.Divergence == Divergence.CannotTell
            ? (JobResult.CannotTell, $"{rewound.Detail}; {source.Detail}")
            : (JobResult.Failed, rewound.Detail);
    }

    private async Task<(JobResult, string)> AbandonAsync(PerformedRun run, CancellationToken cancellationToken)
    {
        var moved = await postgres.MoveDataDirectoryAwayAsync(cancellationToken);
        // Only our own empty key: when it is another's by now, that member makes the cluster. It hangs on our lease
        // besides.
        var revision = run.Observation.Memory.InitializeRevision;
        var freed =
            await store.DeleteAsync(ClusterKeys.Initialize, WriteCondition.Unchanged(revision), cancellationToken);
        return (moved.Ok && freed.Status is WriteStatus.Done or WriteStatus.Conflict
            ? JobResult.Done
            : JobResult.Failed, moved.Detail);
    }

    /// <summary>
    /// Stops accepting writes, in the way that the mode says, and gives the leader key up where it should.
    /// </summary>
    private async Task<(JobResult, string)> DemoteAsync(
        HaAction.Demote demote, PerformedRun run, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var leads = keeper.View.HoldsLeader;
        var orderly = demote.Mode is DemoteMode.Graceful or DemoteMode.Shutdown;
        var released = false;
        var plan = demote.Mode switch
        {
            DemoteMode.Graceful => new StopPlan(StopMode.Fast, Checkpoint: true, StopLimit(run)),
            DemoteMode.Shutdown => new StopPlan(StopMode.Fast, EscalateAfter: StopLimit(run)),
            DemoteMode.Offline => new StopPlan(
                StopMode.Fast, EscalateAfter: OfflineLimit()) { IsUrgent = true, KillAfter = s_quitLimit },
            DemoteMode.Immediate =>
                new StopPlan(StopMode.Immediate, EscalateAfter: s_quitLimit) { BeforeStopLimit = LeaseLeft() },
            _ => new StopPlan(StopMode.Immediate, EscalateAfter: s_quitLimit) { IsUrgent = true },
        };
        if (orderly && leads && run.Observation.Local.IsPrimary)
        {
            plan = plan with
            {
                OnShutdownCheckpoint = async (checkpoint, token) =>
                {
                    progress.Report($"waits until a standby has the shutdown checkpoint at {checkpoint}");
                    if (await SomebodyHasAsync(checkpoint, demote.Candidate, run, token))
                    {
                        guard.Disarm();
                        released = (await ReleaseAsync(checkpoint, run, token)).IsDone;
                    }
                },
            };
        }
        if (demote.Mode == DemoteMode.ImmediateNoLock)
        {
            keeper.Forget();
        }
        progress.Report($"stops PostgreSQL ({plan.Mode})");
        var stopped = await postgres.StopAsync(plan, cancellationToken);
        if (!stopped.Ok)
        {
            return (JobResult.Failed, $"PostgreSQL could not be stopped, so the leader key is kept: {stopped.Detail}");
        }
        guard.Disarm();
        if (leads && !released && demote.Mode == DemoteMode.Graceful
            && run.Observation.Cluster!.Failover is { IsSwitchover: true } request)
        {
            // A switchover loses nothing: without a standby that has everything this member stays the primary.
            await store.PutAsync(
                ClusterKeys.Failover, KeyWriter.NoFailover, WriteCondition.Unchanged(request.ModRevision), 0,
                cancellationToken);
            return (JobResult.Failed,
                "no standby received everything: keeps the leader key, and the request is dropped");
        }
        if (leads && !released && demote.Mode is DemoteMode.Graceful or DemoteMode.Shutdown or DemoteMode.Immediate)
        {
            var local = await postgres.ObserveAsync(cancellationToken);
            // A standby's checkpoint lies behind what it has received: it says nothing about the cluster's end.
            await ReleaseAsync(run.Observation.Local is { PromotionAsked: true, IsPrimary: false }
                ? null
                : local.Control?.Checkpoint, run, cancellationToken);
        }
        return (JobResult.Done, stopped.Detail);
    }

    /// <summary>
    /// primary_stop_timeout: in a synchronous mode nothing acknowledged is lost by a stop that turns immediate.
    /// </summary>
    private static TimeSpan? StopLimit(PerformedRun run) =>
        run.Config.SynchronousMode != SynchronousMode.Off && run.Config.PrimaryStopTimeout > TimeSpan.Zero
            ? run.Config.PrimaryStopTimeout
            : null;

    /// <summary>Time until the lease, should it not be renewed again, reaches its margin.</summary>
    private TimeSpan LeaseLeft()
    {
        var lease = keeper.View;
        return lease.HoldsLeader ? lease.LeaderLeft - lease.SafetyMargin : TimeSpan.Zero;
    }

    /// <summary>
    /// A third of the time until the fence acts: then the stop turns immediate, and has as long again before PostgreSQL
    /// is killed.
    /// </summary>
    private TimeSpan OfflineLimit()
    {
        var limit = time.GetElapsedTime(time.GetTimestamp(), keeper.Deadline) / 3;
        return limit > s_leastLimit ? limit < s_quitLimit ? limit : s_quitLimit : s_leastLimit;
    }

    /// <summary>
    /// Whether the candidate (or any that may lead) has received the shutdown checkpoint; looks until it has, or the
    /// stop is over.
    /// </summary>
    private async Task<bool> SomebodyHasAsync(
        Lsn checkpoint, string? candidate, PerformedRun run, CancellationToken cancellationToken)
    {
        var members = run.Observation.Cluster!.Members.Values
            .Where(m => m.Name != run.Member.Name && m.ApiUrl is not null && !m.Tags.NoFailover)
            .Where(m => candidate is null || m.Name == candidate)
            .ToList();
        var started = time.GetTimestamp();
        while (members.Count > 0 && time.GetElapsedTime(started) < TimeSpan.FromSeconds(5))
        {
            var reports = await peers.ProbeAsync(members, s_fastPeerLimit, cancellationToken);
            if (reports.Any(report => report.Reachable && !report.IsPrimary && report.Position > checkpoint))
            {
                return true;
            }
            await Task.Delay(TimeSpan.FromMilliseconds(20), time, cancellationToken);
        }
        return false;
    }

    [LoggerMessage(EventId = 1405, Level = LogLevel.Warning,
        Message = "What was asked of this member is not done ({Refusal}): {Detail}")]
    private partial void LogOrderRefused(OrderRefusal refusal, string detail);

    [LoggerMessage(EventId = 1401, Level = LogLevel.Warning, Message = "{Action}: {Status} {Problem}")]
    private partial void LogNotDone(string action, string status, string problem);

    [LoggerMessage(EventId = 1402, Level = LogLevel.Information, Message = "Got response from {Name}: {Answer}")]
    private partial void LogPeer(string name, string answer);

    [LoggerMessage(
        EventId = 1404, Level = LogLevel.Warning, Message = "{Name} does not consent to failsafe mode: {Detail}")]
    private partial void LogNoConsent(string name, string detail);

    [LoggerMessage(
        EventId = 1403, Level = LogLevel.Information, Message = "Lost the race for the leader key to {Winner}")]
    private partial void LogRaceLost(string winner);
}
