using System.Text.Json.Nodes;

namespace Routing.TestKit;

/// <summary>
/// A cluster that tests share. Each takes it healthy, and says itself whether it came back to health.
/// </summary>
public class ClusterFixture : IAsyncDisposable
{
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
                var first = await used.HealthyAsync(TimeSpan.FromSeconds(30));
                if ((await used.Keys.GetAsync("config"))?.JsonOrNull is JsonObject config
                    && config["pause"]?.ToString() == "true")
                {
                    throw new TimeoutException("The last test has left the cluster paused.");
                }
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
