using Routing.Agent.Postgres.Files;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Puts away what a failed bootstrap has left.</summary>
internal sealed class FailedBootstrap(ServerContext context, ServerStop stop)
{
    /// <summary>Stops the server and moves the data directory aside, with its links.</summary>
    public async Task<StepResult> MoveAwayAsync(CancellationToken cancellationToken)
    {
        var stopped = await stop.StopAsync(new StopPlan(StopMode.Immediate), cancellationToken);
        if (!stopped.Ok)
        {
            return stopped;
        }
        try
        {
            if (!Directory.Exists(context.DataDirectory))
            {
                return StepResult.Done("left nothing");
            }
            var aside = DataRemoval.SetAside(context.DataDirectory, DataRemoval.Failed);
            context.Filling.MarkFinished();
            return StepResult.Done($"moved {context.DataDirectory} to {aside}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return LeaveInPlace(error.Message);
        }
    }

    /// <summary>What cannot be moved is marked: the next start must not take it for a cluster.</summary>
    private StepResult LeaveInPlace(string problem)
    {
        try
        {
            context.Filling.MarkUseless();
            return StepResult.Done($"left {context.DataDirectory} as it is, marked as unusable: {problem}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return StepResult.Failed(
                $"could not move {context.DataDirectory} away ({problem}), nor mark it: {error.Message}");
        }
    }
}
