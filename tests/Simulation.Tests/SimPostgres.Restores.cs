using Routing.Agent.Postgres;

namespace Routing.Simulation.Tests;

// A restore of the living cluster, and its end without one. Each can be interrupted in the middle.
internal sealed partial class SimPostgres
{
    public async Task<StepResult> RestoreAsync(
        RestorePlan plan, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var request = plan.Request;
        LongVerbBegins?.Invoke("a restore");
        if (server.RestoreId != request.Id || server.IsEmpty)
        {
            await StopAsync(
                new StopPlan(StopMode.Fast, Checkpoint: true, EscalateAfter: TimeSpan.FromMinutes(5)),
                cancellationToken);
            if (!server.IsStaged(request.Id))
            {
                await Task.Delay(server.Times.Copy(), time, cancellationToken);
                if (server.IsDiskFull || server.IsRepositoryBroken)
                {
                    return StepResult.Failed("the repository cannot be read");
                }
                if (!server.Stage(request.Id, SimServer.EndOf(request.Target), options.RestoresShifted))
                {
                    return StepResult.Failed("no backup ends before the target");
                }
            }
            // Two renames: a process that ends in between leaves no data directory. Nothing else comes between them.
            await Delay(0.5, 5, CancellationToken.None);
            server.SetAside(request.Id);
            await Delay(0.5, 30, CancellationToken.None);
            server.PutInPlace(request.Id);
        }
        if (server.Life == Life.Down)
        {
            await Delay(0.5, 50, cancellationToken);
            server.Start(asPrimary: false, null, toTarget: true);
        }
        await UntilAsync(() => server.Life == Life.Down || server.IsAtTarget, null, cancellationToken);
        return server.IsAtTarget
            ? StepResult.Done("stands still at the target")
            : StepResult.Failed("the target was not reached");
    }

    public async Task<StepResult> PutBackAsync(
        string id, IProgress<string> progress, CancellationToken cancellationToken)
    {
        LongVerbBegins?.Invoke("putting the data back");
        await StopAsync(new StopPlan(StopMode.Immediate), cancellationToken);
        await Delay(0.5, 5, CancellationToken.None);
        server.Discard();
        await Delay(0.5, 30, CancellationToken.None);
        server.PutBack(id, options.PutsNothingBack);
        return StepResult.Done("has its former data again");
    }
}
