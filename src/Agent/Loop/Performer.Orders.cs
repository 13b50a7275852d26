using Routing.Agent.Postgres;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Loop;

// The jobs that operators ask for.
internal sealed partial class Performer
{
    /// <summary>
    /// A fast stop waits for the archiver and for stuck standbys, and the leader key is held meanwhile. The same data
    /// are started again, so a stop that turns immediate loses nothing.
    /// </summary>
    private static readonly TimeSpan s_stopForRestart = TimeSpan.FromSeconds(60);

    /// <summary>A server that answers nobody does not end by a fast stop either: it gets this long.</summary>
    private static readonly TimeSpan s_unresponsiveStop = TimeSpan.FromSeconds(30);

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

    private static ClonePlan PlanOf(HaAction.CopyMember copy, Member? source, IProgress<CopyProgress> progress) =>
        new(source)
        {
            Replaces = copy.Replaces,
            OnlyBaseBackup = copy.FromLeader,
            OnCopied = progress.Report,
        };

    /// <summary>Restarts in place, and tells the operator how it ended, whatever ends it.</summary>
    private async Task<(JobResult, string)> RestartAsync(
        HaAction.Restart restart, PerformedRun run, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var end = (Result: JobResult.Cancelled, Detail: "it was cancelled");
        try
        {
            return end = await RestartInPlaceAsync(restart, run, progress, cancellationToken);
        }
        catch (Exception problem) when (problem is not OperationCanceledException)
        {
            end = (JobResult.Failed, problem.Message);
            throw;
        }
        finally
        {
            orders.End(restart.Order.Id, new OrderEnd(end.Result, null, end.Detail));
        }
    }

    private async Task<(JobResult, string)> RestartInPlaceAsync(
        HaAction.Restart restart, PerformedRun run, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var answers = run.Observation.Local.Server == ServerState.Running;
        var longest = answers ? s_stopForRestart : s_unresponsiveStop;
        var limit = restart.AsPrimary && StopLimit(run) is { } configured && configured < longest
            ? configured
            : longest;
        var plan = new RestartPlan(
            new StopPlan(StopMode.Fast, Checkpoint: answers, EscalateAfter: limit),
            new StartPlan(restart.AsPrimary, restart.Upstream,
                restart.Timeout) { OnPostmaster = restart.AsPrimary ? guard.Arm : null })
        {
            MayStart = () => !restart.AsPrimary || run.Config.Pause || LeadsStill(),
        };
        var restarted = await postgres.RestartAsync(plan, progress, cancellationToken);
        return restarted switch
        {
            { Outcome: StartOutcome.Running } => (JobResult.Done, restarted.Detail),
            { Outcome: StartOutcome.StillStarting } => (JobResult.StillStarting, restarted.Detail),
            { MustNotStart: true } => (JobResult.Cancelled, restarted.Detail),
            _ => (JobResult.Failed, restarted.Detail),
        };
    }
}
