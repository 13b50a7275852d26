using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>A cluster that the tests of one class share; each leaves it healthy, or the next one says that it is not.</summary>
public class ClusterFixture : IAsyncLifetime
{
    private TestCluster? _cluster;

    public TestCluster Cluster => _cluster ?? throw new InvalidOperationException("The cluster was not started.");

    protected virtual TestClusterOptions Options => new();

    public async ValueTask InitializeAsync() => _cluster = await TestCluster.StartAsync(Options);

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_cluster is not null)
        {
            await _cluster.DisposeAsync();
        }
    }
}
