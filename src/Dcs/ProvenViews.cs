using System.Runtime.CompilerServices;
using Routing.Cluster;

namespace Routing.Dcs;

/// <summary>
/// Views for proxy and driver, which only route: a new life of the store counts from its first proven leader on.
/// </summary>
/// <remarks>
/// A store that was set up anew is empty for a moment, and one that was restored names the leader of an earlier time,
/// while the real one goes on. Until a member has written the leader key in the new life, the last view of the old one
/// stays, and is not live; what is routed by it is checked at each login. It stays for one ttl at the most: then the
/// new life is taken as it is.
/// </remarks>
/// <param name="views">Where the views come from; they stay the caller's to dispose of.</param>
/// <param name="time">The clock.</param>
public sealed class ProvenViews(IClusterViews views, TimeProvider time) : IClusterViews
{
    /// <inheritdoc/>
    public string? Problem => views.Problem;

    /// <inheritdoc/>
    public async IAsyncEnumerable<ClusterView> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ClusterView? last = null;
        ClusterView? unproven = null;
        var since = 0L;
        var source = views.WatchAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        Task<bool>? next = null;
        try
        {
            while (true)
            {
                next ??= source.MoveNextAsync().AsTask();
                if (unproven is not null && !next.IsCompleted)
                {
                    var left = unproven.Snapshot.LeaseTtl - time.GetElapsedTime(since);
                    if (left > TimeSpan.Zero)
                    {
                        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                        await Task.WhenAny(next, Task.Delay(left, time, enough.Token)).ConfigureAwait(false);
                        await enough.CancelAsync().ConfigureAwait(false);
                        cancellationToken.ThrowIfCancellationRequested();
                        continue;
                    }
                    (last, unproven) = (unproven, null);
                    yield return last;
                    continue;
                }
                if (!await next.ConfigureAwait(false))
                {
                    yield break;
                }
                next = null;
                var view = source.Current;
                if (last is null || view.Snapshot.Life.Number == last.Snapshot.Life.Number || IsProven(view.Snapshot))
                {
                    (last, unproven) = (view, null);
                    yield return last;
                    continue;
                }
                if (unproven is null)
                {
                    since = time.GetTimestamp();
                    if (last.IsLive)
                    {
                        last = last with { IsLive = false };
                        yield return last;
                    }
                }
                unproven = view;
            }
        }
        finally
        {
            // An enumerator must not be disposed of while MoveNextAsync runs: it is cancelled first.
            await ((Task?)next ?? Task.CompletedTask).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await source.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static bool IsProven(ClusterSnapshot snapshot) => snapshot.Leader is not null && snapshot.IsLeaderProven;
}
