using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>Failsafe mode for one test, whatever comes of it.</summary>
internal sealed class Failsafe : IAsyncDisposable
{
    private readonly TestCluster _cluster;

    private Failsafe(TestCluster cluster) => _cluster = cluster;

    public static async Task<Failsafe> UseAsync(TestCluster cluster)
    {
        var failsafe = new Failsafe(cluster);
        try
        {
            await cluster.UseFailsafeAsync();
            return failsafe;
        }
        catch
        {
            await failsafe.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Takes it back. A test that has failed may have left a cluster that cannot be asked: the next one gets another
    /// then.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await _cluster.ConfigureAsync(new JsonObject { ["failsafe_mode"] = null });
        }
        catch (Exception problem) when (problem is TimeoutException or HttpRequestException or TaskCanceledException
            or InvalidOperationException)
        {
            TestContext.Current.SendDiagnosticMessage("failsafe mode was not taken back: {0}", problem.Message);
        }
    }
}
