using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Agent.Loop;

/// <summary>Gives the leader key up, after the last position was published.</summary>
internal sealed class LeaderRelease(StatusKey status, LeaseKeeper keeper, ILogger logger)
{
    /// <summary>Publishes the position (carrying over what else stands there), then gives the key up.</summary>
    /// <param name="optime">The position; null: nothing is published.</param>
    /// <param name="run">The run that gives it up.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<WriteOutcome> ReleaseAsync(Lsn? optime, PerformedRun run, CancellationToken cancellationToken)
    {
        if (optime is { } position)
        {
            await PublishAsync(position, run, cancellationToken);
        }
        return await keeper.ReleaseAsync(cancellationToken);
    }

    /// <summary>Publishes the last position of a primary, and keeps the key.</summary>
    public async Task PublishAsync(Lsn position, PerformedRun run, CancellationToken cancellationToken)
    {
        if (position == Lsn.Zero || keeper.Held is not { } held)
        {
            return;
        }
        var seen = run.Observation.Cluster ?? ClusterSnapshot.Empty;
        var published = await status.PublishLastAsync(
            position, run.Member.Site, seen, held.Term, run.Observation.Memory.PromotedIn, cancellationToken);
        if (!published.IsDone)
        {
            logger.NotDone("the last position", published.Status.ToString(), published.Problem ?? "");
        }
    }
}
