using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>A member's data are replaced because somebody asked for it.</summary>
[Collection(SharedCluster.Name)]
public sealed class ReinitializeTests(ClusterFixture fixture)
{
    [Fact]
    public async Task A_replica_gets_a_new_copy_and_the_leader_refuses()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[0];
        var old = Path.Combine(replica.DataDirectory, "old");
        await File.WriteAllTextAsync(old, "", TestContext.Current.CancellationToken);
        await using var writer = await Writer.StartAsync(cluster, Writer.LongPatience);

        var refused = await leader.SendAsync("POST", "/reinitialize", new JsonObject { ["force"] = true });
        var answer = await replica.SendAsync("POST", "/reinitialize", new JsonObject { ["from_leader"] = true });
        await cluster.UntilAsync(() => !File.Exists(old), "the data are replaced");
        await writer.MoreAsync(20);
        await writer.StopAsync();

        Assert.Equal((503, "I am the leader, can not reinitialize"), refused);
        Assert.Equal((200, "reinitialize started"), answer);
        Assert.Equal(leader, await cluster.HealthyAsync());
        Assert.Empty(writer.Errors);
        Assert.True(File.Exists(Path.Combine(replica.DataDirectory + ".replaced", "old")));
        Assert.Empty(await writer.MissingOnAsync(replica));
    }

    [Fact]
    public async Task What_was_begun_is_gone_on_with_by_the_agents_next_life()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[1];
        var old = Path.Combine(replica.DataDirectory, "old");
        await File.WriteAllTextAsync(old, "", TestContext.Current.CancellationToken);

        Assert.Equal((200, "reinitialize started"), await replica.SendAsync("POST", "/reinitialize"));
        var mark = Path.Combine(replica.DataDirectory, "routing.reinitialize");
        await cluster.UntilAsync(() => File.Exists(mark) || !File.Exists(old), "the data are marked");
        await replica.KillAgentAsync();
        replica.Start();
        await cluster.UntilAsync(() => !File.Exists(old), "the data are replaced");

        Assert.Equal(leader, await cluster.HealthyAsync());
        Assert.False(File.Exists(mark));
    }
}
