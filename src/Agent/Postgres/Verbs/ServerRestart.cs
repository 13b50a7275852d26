
namespace Routing.Agent.Postgres.Verbs;

/// <summary>Restarts the server in its present role.</summary>
internal sealed class ServerRestart(ServerStop stop, ServerStart start, ServerMemory memory)
{
    /// <summary>Stops the server and starts it again, if it still may.</summary>
    public async Task<RestartResult> RestartAsync(
        RestartPlan plan, IProgress<string> progress, CancellationToken cancellationToken)
    {
        progress.Report("stops PostgreSQL");
        var stopped = await stop.StopAsync(plan.Stop, cancellationToken);
        if (!stopped.Ok)
        {
            return new RestartResult(null, stopped.Detail);
        }
        cancellationToken.ThrowIfCancellationRequested();
        if (!plan.MayStart())
        {
            return new RestartResult(null, "was stopped, and does not lead any more") { MustNotStart = true };
        }
        progress.Report("starts PostgreSQL");
        return await start.StartAsync(plan.Start, cancellationToken) switch
        {
            StartOutcome.Running => new RestartResult(StartOutcome.Running, "restarted"),
            StartOutcome.StillStarting =>
                new RestartResult(StartOutcome.StillStarting, "is still starting after the restart"),
            _ => new RestartResult(StartOutcome.Failed, $"did not start again: {memory.StartProblem}"),
        };
    }
}
