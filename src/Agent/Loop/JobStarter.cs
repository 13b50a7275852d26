using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Routing.Agent.Postgres;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>Begins the job that an action asks for.</summary>
internal sealed class JobStarter(
    IPostgres postgres, LeaseKeeper keeper, IPrimaryGuard guard, JobSlot jobs, OrderDesk orders, KeyWrites keys,
    DemotionJob demotion, TimeProvider time, ILogger logger)
{
    /// <summary>
    /// Starts the job beside the loop, unless another one runs, or it would make a primary that may not be.
    /// </summary>
    public bool TryStart(HaAction action, PerformedRun run)
    {
        // This process may have been frozen since the decision, or held up by another action, and lead no more.
        var makesPrimary = action is HaAction.Promote or HaAction.StartPrimary or HaAction.Restart { AsPrimary: true };
        if (makesPrimary && !run.Config.Pause && !LeadsStill())
        {
            logger.NotDone(action.GetType().Name, "not begun", "the lease ran out in the meantime");
            return false;
        }
        if (makesPrimary && !run.Config.Pause && !guard.Prepare(run.Observation.Timing))
        {
            // The key may be held for long already: whether the watchdog can be opened is found out again.
            logger.NotDone(action.GetType().Name, "not begun", guard.WatchdogProblem ?? "");
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
        HaAction.CopySlots copy => copy.Leader,
        _ => null,
    };

    private bool LeadsStill() =>
        keeper.View.Leads || (keeper.VouchedUntil is { } until && time.GetTimestamp() < until);

    private void TellBegun(HaAction action)
    {
        if (action is HaAction.Restart restart)
        {
            orders.Begin(restart.Order.Id);
        }
        else if (action is HaAction.CopyMember { OrderId: not 0 } copy)
        {
            orders.End(copy.OrderId, new OrderEnd(JobResult.Done, null, "has begun"));   // nobody waits for hours
        }
    }

    private (JobKind, Func<IJobProgress, CancellationToken, Task<(JobResult, string)>>) Job(
        HaAction action, PerformedRun run)
    {
        // Before the first answer of the DCS only a demotion can be begun, which needs no member.
        var members = (run.Observation.Cluster ?? ClusterSnapshot.Empty).Members;
        return action switch
        {
            HaAction.Bootstrap => (JobKind.Bootstrap, async (p, t) =>
                End(await postgres.BootstrapAsync(p, ((IProgress<CopyProgress>)p).Report, t))),
            HaAction.BootstrapStandby make => (JobKind.Bootstrap, (p, t) => BootstrapStandbyAsync(make, run, p, t)),
            HaAction.AbandonBootstrap => (JobKind.AbandonBootstrap, (_, t) => AbandonAsync(run, t)),
            HaAction.CopyMember copy => (copy.Replaces ? JobKind.Reinitialize : JobKind.Clone, async (p, t) =>
                End(await postgres.CloneAsync(
                    PlanOf(copy, copy.Source is { } source ? members[source]
                        : copy.FromRemote ? await RemoteAsync(run, t) : null, p), p, t))),
            HaAction.StartPrimary start => (JobKind.StartPrimary, async (p, t) =>
                End(await postgres.StartAsync(
                    Told(new StartPlan(true, null, start.Timeout) { OnPostmaster = guard.Arm }, p), t))),
            HaAction.StartStandby start => (JobKind.StartStandby, async (p, t) =>
                End(await postgres.StartAsync(Told(new StartPlan(false, start.Upstream, null), p), t))),
            HaAction.Promote promote => (JobKind.Promote, async (_, t) =>
                End(await postgres.PromoteAsync(promote.UsedTimeline, PromotionLimit(run), t))),
            HaAction.Demote demote => (JobKind.Demote, (p, t) => demotion.RunAsync(demote, run, p, t)),
            HaAction.Follow follow =>
                (JobKind.Follow, async (_, t) => End(await postgres.FollowAsync(follow.Upstream, t))),
            HaAction.CheckDivergence check => (JobKind.CheckDivergence, async (_, t) =>
                await SourceAsync(check.Primary, members, run, t) is { } primary
                    ? End(await postgres.CheckDivergenceAsync(primary, t))
                    : (JobResult.CannotTell, "no server of the remote cluster answers")),
            HaAction.AskRemote ask => (JobKind.AskRemote, (_, t) => AskRemoteAsync(ask.Remote, run, t)),
            HaAction.Rewind rewind => (JobKind.Rewind, async (p, t) =>
                await SourceAsync(rewind.Primary, members, run, t) is { } primary
                    ? await RewindAsync(primary, p, t)
                    : (JobResult.CannotTell, "no server of the remote cluster answers")),
            HaAction.CopySlots copy => (JobKind.CopySlots, async (p, t) =>
                await SourceAsync(copy.Leader, members, run, t) is { } source
                    ? End(await postgres.CopySlotsAsync(PlanOf(copy, source, run), p, t))
                    : (JobResult.CannotTell, "no server of the remote cluster answers")),
            HaAction.Restore restore => (JobKind.Restore, async (p, t) =>
                End(await postgres.RestoreAsync(
                    new RestorePlan(restore.Request) { OnCopied = ((IProgress<CopyProgress>)p).Report }, p, t))),
            HaAction.PutBack back => (JobKind.PutBack, async (p, t) => End(await postgres.PutBackAsync(back.Id, p, t))),
            HaAction.Restart restart => (JobKind.Restart, (p, t) =>
                new RestartJob(postgres, guard, orders, LeadsStill).RunAsync(restart, run, p, t)),
            _ => throw new InvalidOperationException($"The performer does not know the job {action}."),
        };
    }

    private static StartPlan Told(StartPlan plan, IJobProgress progress) =>
        plan with { Progress = progress, OnReplayed = ((IProgress<CopyProgress>)progress).Report };

    private static SlotCopyPlan PlanOf(HaAction.CopySlots copy, Member source, PerformedRun run)
    {
        var permanent = run.Config.PermanentSlots;
        return new SlotCopyPlan(source, permanent.RemoveRange(permanent.Keys.Except(copy.Names)), copy.Upstream)
        {
            SourceIsStandby = copy.Leader is not null && run.Observation.IsStandbyCluster,
            Role = copy.Leader is null ? Role.StandbyLeader : Role.Replica,
        };
    }

    private static ClonePlan PlanOf(HaAction.CopyMember copy, Member? source, IProgress<CopyProgress> progress) =>
        new(source)
        {
            Replaces = copy.Replaces,
            OnlyBaseBackup = copy.FromLeader,
            FromRemote = copy.FromRemote,
            OnCopied = progress.Report,
        };

    private async Task<Member?> SourceAsync(
        string? name, ImmutableSortedDictionary<string, Member> members, PerformedRun run,
        CancellationToken cancellationToken) =>
        name is not null ? members[name] : await RemoteAsync(run, cancellationToken);

    /// <summary>
    /// The remote primary, as a member to read from: of several servers the one that is a primary, else one that
    /// answers. Null: none does, or none is configured.
    /// </summary>
    private async Task<Member?> RemoteAsync(PerformedRun run, CancellationToken cancellationToken)
    {
        var hosts = run.Config.StandbyCluster?.Hosts ?? [];
        if (hosts.Length > 1)
        {
            var answers = (await postgres.AskRemoteAsync(hosts, cancellationToken))
                .Where(answer => answer.Problem is null).ToList();
            var found = answers.FirstOrDefault(answer => !answer.IsInRecovery) ?? answers.FirstOrDefault();
            hosts = found is null ? [] : [found.Address];
        }
        return hosts is [var host, ..]
            ? new Member { Name = "the remote primary", Address = host }
            : null;
    }

    /// <summary>
    /// Failed: which remote server is a primary of this database. Done: none is. CannotTell: none that answers.
    /// </summary>
    private async Task<(JobResult, string)> AskRemoteAsync(
        Upstream remote, PerformedRun run, CancellationToken cancellationToken)
    {
        var own = run.Observation.Local.Control?.SystemId;
        var answers = await postgres.AskRemoteAsync(remote.Addresses, cancellationToken);
        if (answers.FirstOrDefault(answer => answer is { Problem: null, IsInRecovery: false } && answer.SystemId == own)
            is { } primary)
        {
            return (JobResult.Failed, $"{primary.Address} still is a primary of this database");
        }
        var silent = answers.Where(answer => answer.Problem is not null)
            .Select(answer => $"{answer.Address} does not answer: {answer.Problem}").ToList();
        return silent.Count == 0
            ? (JobResult.Done, "no remote server is a primary of this database")
            : (JobResult.CannotTell, string.Join("; ", silent));
    }

    /// <summary>A copy of the remote primary, started as its standby: the first member of the cluster.</summary>
    private async Task<(JobResult, string)> BootstrapStandbyAsync(
        HaAction.BootstrapStandby make, PerformedRun run, IJobProgress progress, CancellationToken cancellationToken)
    {
        var remote = await RemoteAsync(run, cancellationToken);
        if (remote is null && make.Remote is not null)
        {
            return (JobResult.Failed, "no server of the remote cluster answers");
        }
        var copied = await postgres.CloneAsync(
            new ClonePlan(remote) { FromRemote = true, OnCopied = progress.Report }, progress, cancellationToken);
        return copied.Ok
            ? End(await postgres.StartAsync(Told(new StartPlan(false, make.Remote, null), progress), cancellationToken))
            : End(copied);
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
        if (source.Divergence == Divergence.None
            && (await postgres.ObserveAsync(cancellationToken)).Damage is DataDamage.None)
        {
            // A server that is down tells exactly where its data end: pg_rewind touched nothing, and need not.
            return (JobResult.Done, $"needs no rewind: {source.Detail}");
        }
        return source.Divergence == Divergence.CannotTell
            ? (JobResult.CannotTell, $"{rewound.Detail}; {source.Detail}")
            : (JobResult.Failed, rewound.Detail);
    }

    private async Task<(JobResult, string)> AbandonAsync(PerformedRun run, CancellationToken cancellationToken)
    {
        await postgres.StopAsync(
            new StopPlan(StopMode.Immediate) { BeforeStopLimit = TimeSpan.Zero }, cancellationToken);
        // The key first, the data after it: a write of the key that is still under way fails from here on.
        var (isFree, detail) = await keys.FreeInitializeAsync(run.Observation, cancellationToken);
        if (!isFree)
        {
            return (JobResult.Failed, detail);
        }
        return End(await postgres.MoveDataDirectoryAwayAsync(cancellationToken));
    }
}
