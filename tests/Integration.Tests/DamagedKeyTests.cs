using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>
/// Somebody writes nonsense into etcd: it is named, nothing breaks, and the leader repairs what is its own.
/// </summary>
[Collection(SecondCluster.Name)]
public sealed class DamagedKeyTests(ClusterFixture fixture)
{
    [Theory]
    [InlineData("config", "nonsense")]
    [InlineData("config", "[1]")]
    [InlineData("failover", "nonsense")]
    [InlineData("failover", """{"leader":["n1"],"scheduled_at":"someday"}""")]
    [InlineData("status", "nonsense")]
    [InlineData("sync", """{"leader":5,"sync_standby":{}}""")]
    [InlineData("history", """[[1,2],"x"]""")]
    [InlineData("failsafe", "nonsense")]
    [InlineData("members/n1", "nonsense")]
    [InlineData("members/ghost", """{"conn_url":5,"state":[],"tags":"x","xlog_location":"much"}""")]
    public async Task A_damaged_key_is_named_and_the_cluster_goes_on(string key, string value)
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var term = (await cluster.Keys.GetAsync("leader"))!.CreateRevision;
        var config = (await cluster.Keys.GetAsync("config"))!.Value;
        var named = leader.CountInLog($"The key {key} in the DCS has a value");

        await cluster.UntilAsync(
            async () =>
            {
                if (leader.CountInLog($"The key {key} in the DCS has a value") > named)
                {
                    return true;
                }
                if ((await cluster.Keys.GetAsync(key))?.Value != value)
                {
                    // for the first time, or its owner has repaired it before the leader looked
                    await cluster.Keys.PutAsync(key, value);
                }
                return false;
            },
            "the leader names the key");

        Assert.Equal(leader, await cluster.HealthyAsync());
        await cluster.UntilAsync(async () => (await cluster.Keys.GetAsync("config"))?.Value == config,
            "the configuration is as before");
        Assert.Equal(term, (await cluster.Keys.GetAsync("leader"))!.CreateRevision);
        Assert.Equal(200, await leader.StatusAsync("/cluster"));
        if (key is not "config" && !key.EndsWith("n1", StringComparison.Ordinal))
        {
            await cluster.Keys.DeleteAsync(key);
        }
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("")]
    public async Task A_damaged_system_identifier_is_repaired_and_sends_nobody_away(string value)
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var systemId = (await cluster.Keys.GetAsync("initialize"))!.Value;

        await cluster.Keys.PutAsync("initialize", value);
        await cluster.UntilAsync(async () => (await cluster.Keys.GetAsync("initialize"))?.Value == systemId,
            "the leader has repaired it");

        Assert.Equal(leader, await cluster.HealthyAsync());
        Assert.All(cluster.Nodes, node => Assert.NotNull(node.PostmasterPid));
    }
}
