using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>A new cluster whose scope is not empty.</summary>
public sealed class ExistingKeysTests
{
    [Fact]
    public async Task A_configuration_that_stands_in_etcd_already_is_used_by_the_new_cluster()
    {
        await using var cluster = await TestCluster.PrepareAsync(new TestClusterOptions { Nodes = 2 });
        await cluster.Keys.PutAsync("config", new JsonObject
        {
            ["ttl"] = 7,
            ["loop_wait"] = 2,
            ["retry_timeout"] = 2,
            ["postgresql"] = new JsonObject { ["parameters"] = new JsonObject { ["max_connections"] = 37 } },
        }.ToJsonString());

        cluster.StartMissing();
        var leader = await cluster.HealthyAsync();

        Assert.Equal(7, (await cluster.Keys.GetAsync("config"))!.Json["ttl"]!.GetValue<int>());
        Assert.Equal("37", await leader.SqlAsync("SHOW max_connections"));
    }
}
