using System.Text.Json.Nodes;

namespace Routing.TestKit;

/// <summary>
/// A cluster that tests share. Each takes it healthy, and says itself whether it came back to health.
/// </summary>
public class ClusterFixture : IAsyncDisposable
{
    private const int MostRestarts = 3;   // a standby may have to wait for its primary's restart, or the other way
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_told = TimeSpan.FromSeconds(10);
    private TestCluster? _cluster;

    /// <summary>How it is made.</summary>
    protected virtual TestClusterOptions Options => new();

    /// <summary>The cluster with all its nodes running; a new one when the last test left it broken.</summary>
    public async Task<(TestCluster Cluster, TestNode Leader)> TakeAsync()
    {
        if (_cluster is { } used)
        {
            try
            {
                used.StartMissing();
                var first = await used.HealthyAsync(s_patience);
                if ((await used.Keys.GetAsync("config"))?.JsonOrNull is JsonObject config
                    && config["pause"]?.ToString() == "true")
                {
                    throw new TimeoutException("The last test has left the cluster paused.");
                }
                await used.UntilAsync(() => IsUnpausedAsync(used), "no member believes in a pause", s_patience);
                first = await WithoutPendingRestartAsync(used, first);
                await UntilReadyAsync(used);
                return (used, first);
            }
            catch (Exception broken) when (WaitUntil.IsNotYet(broken))
            {
                // That test has failed on its own account, and may have left etcd dead; this one shall not.
                _cluster = null;
                await used.DisposeAsync();
            }
        }
        _cluster = await TestCluster.StartAsync(Options);
        var leader = await _cluster.HealthyAsync();
        await UntilReadyAsync(_cluster);
        return (_cluster, leader);
    }

    /// <summary>What its tests need besides health.</summary>
    protected virtual Task UntilReadyAsync(TestCluster cluster) => Task.CompletedTask;

    /// <summary>The configuration has no pause; a member may not have heard of that yet.</summary>
    private static async Task<bool> IsUnpausedAsync(TestCluster cluster)
    {
        foreach (var node in cluster.Nodes)
        {
            if (await node.GetAsync("/patroni") is not { } status || status["pause"] is not null)
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>
    /// The last test may have put a setting back that needs a restart: whoever looks at what waits for one finds
    /// nothing of it.
    /// </summary>
    /// <returns>The leader.</returns>
    private static async Task<TestNode> WithoutPendingRestartAsync(TestCluster cluster, TestNode leader)
    {
        for (var round = 0; round < MostRestarts && !await IsNonePendingAsync(); round++)
        {
            foreach (var node in cluster.ReplicasOf(leader).Prepend(leader))
            {
                if (await IsPendingAsync(node))
                {
                    await node.SendAsync("POST", "/restart", new JsonObject());
                }
            }
            leader = await cluster.HealthyAsync(s_patience);
            try
            {
                // The status tells of a restart one run of the loop later.
                await cluster.UntilAsync(IsNonePendingAsync, "no member needs a restart", s_told);
            }
            catch (TimeoutException) when (round < MostRestarts - 1)
            {
                // The next round restarts those that had to wait for another one.
            }
        }
        return leader;

        async Task<bool> IsNonePendingAsync()
        {
            foreach (var node in cluster.Nodes)
            {
                if (await IsPendingAsync(node))
                {
                    return false;
                }
            }
            return true;
        }

        static async Task<bool> IsPendingAsync(TestNode node) =>
            (await node.GetAsync("/patroni"))?["pending_restart"] is not null;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_cluster is not null)
        {
            await _cluster.DisposeAsync();
        }
    }
}
