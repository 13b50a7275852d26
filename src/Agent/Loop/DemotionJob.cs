using Routing.Agent.Postgres;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>
/// Stops accepting writes, in the way that the mode says, and gives the leader key up where it should.
/// </summary>
internal sealed class DemotionJob(
    IPostgres postgres, LeaseKeeper keeper, IPrimaryGuard guard, PeerQuestions peers, LeaderRelease release,
    KeyWrites keys, TimeProvider time)
{
    /// <summary>An immediate stop needs some 30 ms; a server that takes this long is killed.</summary>
    private static readonly TimeSpan s_quitLimit = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan s_leastLimit = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// A stop by request that takes longer turns immediate: a fast stop waits for the archiver and for stuck standbys,
    /// and nobody leads meanwhile. A switchover is called off then, and the same data start again: nothing is lost.
    /// </summary>
    private static readonly TimeSpan s_requestedStopLimit = TimeSpan.FromSeconds(60);

    /// <summary>PostgreSQL serves its clients while the checkpoint before a stop by request is written.</summary>
    private static readonly TimeSpan s_requestedCheckpointLimit = TimeSpan.FromMinutes(5);

    /// <summary>
    /// primary_stop_timeout: in a synchronous mode nothing acknowledged is lost by a stop that turns immediate.
    /// </summary>
    public static TimeSpan? StopLimit(DynamicConfig config) =>
        config.SynchronousMode != SynchronousMode.Off && config.PrimaryStopTimeout > TimeSpan.Zero
            ? config.PrimaryStopTimeout
            : null;

    /// <summary>Stops PostgreSQL, and releases the leader key where it should.</summary>
    public async Task<(JobResult, string)> RunAsync(
        HaAction.Demote demote, PerformedRun run, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var leads = keeper.View.HoldsLeader;
        var released = false;
        var plan = PlanOf(demote.Mode, run);
        if (leads && run.Observation.Local.IsPrimary && demote.Mode is DemoteMode.Graceful or DemoteMode.Shutdown)
        {
            plan = plan with
            {
                OnShutdownCheckpoint = async (checkpoint, token) =>
                {
                    progress.Report($"waits until a standby has the shutdown checkpoint at {checkpoint}");
                    if (await peers.SomebodyHasAsync(checkpoint, demote, run, token))
                    {
                        guard.Disarm();
                        released = (await release.ReleaseAsync(checkpoint, run, token)).IsDone;
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
            await keys.DropRequestAsync(request.ModRevision, cancellationToken);
            return (JobResult.Failed,
                "no standby received everything: keeps the leader key, and the request is dropped");
        }
        if (demote.Mode == DemoteMode.ToStandby)
        {
            return await TellEndAsync(cancellationToken);
        }
        if (leads && !released && demote.Mode is DemoteMode.Graceful or DemoteMode.Shutdown or DemoteMode.Immediate)
        {
            var local = await postgres.ObserveAsync(cancellationToken);
            // A standby's checkpoint lies behind what it has received: it says nothing about the cluster's end.
            await release.ReleaseAsync(
                run.Observation.Local is { IsPrimary: false } seen && (seen.PromotionAsked || seen.HasRecoverySignal)
                ? null
                : local.Control?.Checkpoint, run, cancellationToken);
        }
        return (JobResult.Done, stopped.Detail);
    }

    /// <summary>
    /// Where this primary's WAL has ended. This member keeps the leader key: it has all WAL, and goes on as the standby
    /// leader, which publishes the position before it starts.
    /// </summary>
    private async Task<(JobResult, string)> TellEndAsync(CancellationToken cancellationToken)
    {
        var local = await postgres.ObserveAsync(cancellationToken);
        return (JobResult.Done, local is { ShutdownEnd: { } end, Control: { } control }
            ? $"the WAL ends at {end} on timeline {control.Timeline}"
            : "PostgreSQL did not end cleanly: where its WAL ends is not known");
    }

    private StopPlan PlanOf(DemoteMode mode, PerformedRun run) => mode switch
    {
        DemoteMode.Graceful when StopLimit(run.Config) is { } limit =>
            new StopPlan(StopMode.Fast, Checkpoint: true, limit),
        DemoteMode.Graceful => new StopPlan(StopMode.Fast, Checkpoint: true, s_requestedStopLimit)
        {
            CheckpointLimit = s_requestedCheckpointLimit,
        },
        // Without a limit: a stop that became immediate would leave the remote cluster without the last WAL.
        DemoteMode.ToStandby => new StopPlan(StopMode.Fast, Checkpoint: true)
        {
            CheckpointLimit = s_requestedCheckpointLimit,
        },
        DemoteMode.Shutdown => new StopPlan(StopMode.Fast, EscalateAfter: StopLimit(run.Config)),
        DemoteMode.Offline => new StopPlan(
            StopMode.Fast, EscalateAfter: OfflineLimit()) { IsUrgent = true, KillAfter = s_quitLimit },
        DemoteMode.Immediate =>
            new StopPlan(StopMode.Immediate, EscalateAfter: s_quitLimit) { BeforeStopLimit = LeaseLeft() },
        _ => new StopPlan(StopMode.Immediate, EscalateAfter: s_quitLimit) { IsUrgent = true },
    };

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
}
