using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Cli;

/// <summary>Waiting for the cluster to change.</summary>
internal static class StoreWaiting
{
    /// <summary>Watches until a condition holds.</summary>
    /// <returns>The first snapshot that it holds for; null when the limit runs out before.</returns>
    public static async Task<ClusterSnapshot?> WaitAsync(
        this IClusterStore store, Func<ClusterSnapshot, bool> condition, TimeSpan limit, TimeProvider time,
        CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            await foreach (var view in store.WatchAsync(either.Token))
            {
                if (view.IsLive && condition(view.Snapshot))
                {
                    return view.Snapshot;
                }
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The time limit is over.
        }
        return null;
    }
}
