using Routing.Agent.Postgres;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>
/// Restarts PostgreSQL in place for an operator, and tells the operator how it ended, whatever ends it.
/// </summary>
internal sealed class RestartJob(IPostgres postgres, IPrimaryGuard guard, OrderDesk orders, Func<bool> leadsStill)
{
    /// <summary>
    /// A fast stop waits for the archiver and for stuck standbys, and the leader key is held meanwhile. The same data
    /// are started again, so a stop that turns immediate loses nothing.
    /// </summary>
    private static readonly TimeSpan s_stopLimit = TimeSpan.FromSeconds(60);

    /// <summary>A server that answers nobody does not end by a fast stop either: it gets this long.</summary>
    private static readonly TimeSpan s_unresponsiveStopLimit = TimeSpan.FromSeconds(30);

    /// <summary>Stops PostgreSQL and starts it again.</summary>
    public async Task<(JobResult, string)> RunAsync(
        HaAction.Restart restart, PerformedRun run, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var end = (Result: JobResult.Cancelled, Detail: "it was cancelled");
        try
        {
            return end = await RestartAsync(restart, run, progress, cancellationToken);
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

    private async Task<(JobResult, string)> RestartAsync(
        HaAction.Restart restart, PerformedRun run, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var answers = run.Observation.Local.Server == ServerState.Running;
        var longest = answers ? s_stopLimit : s_unresponsiveStopLimit;
        var limit = restart.AsPrimary && DemotionJob.StopLimit(run.Config) is { } configured && configured < longest
            ? configured
            : longest;
        var plan = new RestartPlan(
            new StopPlan(StopMode.Fast, Checkpoint: answers, EscalateAfter: limit),
            new StartPlan(restart.AsPrimary, restart.Upstream,
                restart.Timeout) { OnPostmaster = restart.AsPrimary ? guard.Arm : null })
        {
            MayStart = () => !restart.AsPrimary || run.Config.Pause || leadsStill(),
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
