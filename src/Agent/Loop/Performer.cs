using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Routing.Agent.Postgres;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Cluster.Text;
using Routing.Dcs;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>Does what the decision says. The only place of the loop with effects on the cluster.</summary>
internal sealed class Performer(
    KeyWrites keys, LeaderRelease release, PeerQuestions peers, JobStarter starter, LeaseKeeper keeper,
    IPostgres postgres, IPrimaryGuard guard, JobSlot jobs, OrderDesk orders, LoopSignal signal, LoopClock clock,
    TimeProvider time, ILogger logger)
{
    private Task _checkpoint = Task.CompletedTask;
    private TimeSpan _checkpointBegan;
    private long _checkpointedSince = -1;

    /// <summary>When the last checkpoint that has ended was begun; null: none was.</summary>
    public TimeSpan? CheckpointedSince =>
        Volatile.Read(ref _checkpointedSince) is >= 0 and var ticks ? TimeSpan.FromTicks(ticks) : null;

    /// <summary>Creates it with its parts.</summary>
    public static Performer Create(
        IClusterStore store, LeaseKeeper keeper, StatusKey status, IPostgres postgres, IPeers peers,
        IPrimaryGuard guard, JobSlot jobs, OrderDesk orders, LoopSignal signal, LoopClock clock, TimeProvider time,
        ILogger<Performer> logger)
    {
        var keys = new KeyWrites(store, keeper);
        var release = new LeaderRelease(status, keeper, logger);
        var questions = new PeerQuestions(peers, keeper, clock, time, logger);
        var demotion = new DemotionJob(postgres, keeper, guard, questions, release, keys, time);
        var starter = new JobStarter(postgres, keeper, guard, jobs, orders, keys, demotion, time, logger);
        return new Performer(
            keys, release, questions, starter, keeper, postgres, guard, jobs, orders, signal, clock, time, logger);
    }

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
            return action.IsJob
                ? (starter.TryStart(action, run), learned)
                : await keys.TryPerformAsync(action, run, cancellationToken) is { } written
                    ? Report(action, written, learned)
                    : await PerformAsync(action, run, learned, cancellationToken);
        }
        catch (ClusterStoreException problem)
        {
            logger.NotDone(action.GetType().Name, "failed", problem.Message);
        }
        catch (OperationCanceledException)
        {
            logger.NotDone(action.GetType().Name, "failed", "no answer in time");
        }
        return (false, learned);
    }

    private async Task<(bool Ok, Learned Learned)> PerformAsync(
        HaAction action, PerformedRun run, Learned learned, CancellationToken cancellationToken)
    {
        switch (action)
        {
            case HaAction.AcquireLeader:
                return (await AcquireLeaderAsync(run, cancellationToken), learned);
            case HaAction.AttachLeader:
                var kept = await keeper.AttachAsync(cancellationToken);
                return (kept.Outcome == LeaseOutcome.Held, learned);
            case HaAction.ReleaseLeader give:
                return Report(action, await release.ReleaseAsync(give.Optime, run, cancellationToken), learned);
            case HaAction.PublishEnd ended:
                await release.PublishAsync(ended.Control.Checkpoint, run, cancellationToken);
                var (_, told) = Report(action, await keys.WriteDemotionAsync(
                    new CleanDemotion(
                        ended.End, ended.Control.Timeline, ended.Control.SystemId, run.Observation.Self,
                        IsoTime.FormatUtc(time.GetUtcNow())),
                    cancellationToken), learned);
                return (true, told);
            case HaAction.RaceInitialize:
                return await keys.RaceInitializeAsync(cancellationToken) is { } race
                    ? (race.IsDone,
                        Seen(learned with { InitializeRevision = race.IsDone ? race.Revision : 0 }, race.Revision))
                    : (false, learned);
            case HaAction.ProbePeers probe:
                return (true, learned with { Peers = await peers.ProbeAsync(probe, cancellationToken) });
            case HaAction.LookAtClients:
                var asked = clock.Now;
                var (count, oldest) = await postgres.TransactionsAsync(cancellationToken);
                return (true, learned with { Activity = new ClientActivity(asked, count, oldest) });
            case HaAction.AskFailsafe:
                return (true, await peers.AskFailsafeAsync(run, learned, cancellationToken));
            case HaAction.SetSynchronousStandbys set:
                var done = await postgres.SetSynchronousStandbyNamesAsync(set.Names, cancellationToken);
                NoteFailure(action, done);
                return (done.Ok, learned);
            case HaAction.BeginCheckpoint:
                if (_checkpoint.IsCompleted)
                {
                    _checkpointBegan = clock.Now;
                    _checkpoint = CheckpointAsync(action);
                    // After the end of the job: a loop that is woken before could not start the next one.
                    _ = _checkpoint.ContinueWith(
                        _ => signal.Wake(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously,
                        TaskScheduler.Default);
                }
                return (true, learned);
            case HaAction.CancelJob:
                jobs.Cancel();
                await Task.WhenAny(jobs.Completion,
                    Task.Delay(TimeSpan.FromMilliseconds(500), time, cancellationToken));
                return (jobs.Current is null, learned);
            case HaAction.RefuseOrder refuse:
                logger.OrderRefused(refuse.Refusal, refuse.Detail);
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

    private async Task<bool> AcquireLeaderAsync(PerformedRun run, CancellationToken cancellationToken)
    {
        if (!run.Config.Pause && !guard.Prepare(run.Observation.Timing))
        {
            logger.NotDone(nameof(HaAction.AcquireLeader), "not begun", guard.WatchdogProblem ?? "");
            return false;
        }
        var won = await keeper.AcquireAsync(
            AcquireLimit(run.Observation), RaceBasis.Of(run.Observation.Cluster!), cancellationToken);
        if (won is { Outcome: LeaseOutcome.Lost, Leader: { } winner })
        {
            logger.RaceLost(winner.Holder);
        }
        return won.Outcome == LeaseOutcome.Held;
    }

    /// <summary>
    /// A primary that has lost the key accepts writes while it asks for it: without a quick answer it is stopped.
    /// </summary>
    private static TimeSpan? AcquireLimit(Observation o) =>
        o.Local.AcceptsWrites && !o.Paused
            ? TimeSpan.FromTicks(Math.Min(PeerQuestions.Limit.Ticks, o.Timing.Ttl.Ticks / 8))
            : null;

    private static Learned Seen(Learned learned, long revision) =>
        learned with { WrittenRevision = Math.Max(learned.WrittenRevision, revision) };

    private (bool, Learned) Report(HaAction action, WriteOutcome outcome, Learned learned)
    {
        if (!outcome.IsDone)
        {
            logger.NotDone(action.GetType().Name, outcome.Status.ToString(), outcome.Problem ?? "");
        }
        if (action is HaAction.WriteSync)
        {
            learned = learned with { SyncRefused = outcome.Status == WriteStatus.Refused };
        }
        return (outcome.IsDone, Seen(learned, outcome.Revision));
    }

    private void NoteFailure(HaAction action, StepResult result)
    {
        if (!result.Ok)
        {
            logger.NotDone(action.GetType().Name, "failed", result.Detail);
        }
    }

    private async Task CheckpointAsync(HaAction action)
    {
        try
        {
            NoteFailure(action, await postgres.CheckpointAsync(CancellationToken.None));
        }
        catch (Exception problem)
        {
            logger.NotDone(action.GetType().Name, "failed", problem.Message);
        }
        // One that failed, too: the stop writes its own.
        Volatile.Write(ref _checkpointedSince, _checkpointBegan.Ticks);
    }
}
