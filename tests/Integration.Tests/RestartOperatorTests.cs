using System.Globalization;
using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Restarts with routingctl, on a real cluster.</summary>
[Collection(SharedCluster.Name)]
public sealed class RestartOperatorTests(ClusterFixture fixture)
{
    [Fact]
    public async Task A_standby_and_the_leader_in_its_place_are_restarted()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var standby = cluster.ReplicasOf(leader)[0];
        var before = (standby.PostmasterPid, leader.PostmasterPid);

        var (code, output) = await cluster.CtlAsync(
            "restart", cluster.Scope, standby.Name, leader.Name, "--force", "--timeout", "60");

        Assert.True(code == 0, output);
        Assert.Equal($"Success: restart on member {standby.Name}\nSuccess: restart on member {leader.Name}\n", output);
        Assert.Equal(leader, await cluster.HealthyAsync());
        Assert.NotEqual(before.Item1, standby.PostmasterPid);
        Assert.NotEqual(before.Item2, leader.PostmasterPid);
    }

    [Fact]
    public async Task A_scheduled_restart_is_listed_replaced_and_taken_back()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var standby = cluster.ReplicasOf(leader)[0];
        var (at, later) = (InHours(1), InHours(2));

        var (scheduled, first) = await cluster.CtlAsync(
            "restart", cluster.Scope, standby.Name, "--force", "--scheduled", at);
        await ListedAsync(at);
        var (replaced, second) = await cluster.CtlAsync(
            "restart", cluster.Scope, standby.Name, "--force", "--scheduled", later, "--pg-version", "99.1");
        await ListedAsync($"{later} if version < 99.1");
        var (flushed, third) = await cluster.CtlAsync("flush", cluster.Scope, standby.Name, "restart", "--force");

        Assert.True((scheduled, replaced, flushed) == (0, 0, 0), first + second + third);
        Assert.Equal($"Success: restart scheduled on member {standby.Name}\n", first);
        Assert.Equal($"Success: restart scheduled on member {standby.Name}\n", second);
        Assert.Equal($"Success: flush scheduled restart for member {standby.Name}\n", third);
        await ListedAsync(null);

        Task ListedAsync(string? plan) => cluster.UntilAsync(
            async () => (await ListAsync(cluster))
                .Select(member => (string?)member!["Scheduled restart"])
                .SingleOrDefault(text => text is not null) == plan,
            $"the plan {plan ?? "is gone"}");
    }

    [Fact]
    public async Task A_setting_that_needs_a_restart_comes_into_force_everywhere_by_a_rolling_restart()
    {
        // Its own cluster: the servers run with the new value afterwards, and others expect the old one.
        await using var cluster = await TestCluster.StartAsync();
        var leader = await cluster.HealthyAsync();

        var (edited, text) = await cluster.CtlAsync(
            "edit-config", cluster.Scope, "-q", "--force", "-p", "max_connections=60");
        await cluster.UntilAsync(
            async () => (await ListAsync(cluster)).All(member => (string?)member!["Pending restart"] == "*"),
            "every member says that it waits for a restart");
        var (code, output) = await cluster.CtlAsync("rolling-restart", cluster.Scope, "--pending", "--force");

        Assert.Equal(0, edited);
        Assert.Contains("max_connections will need a restart of n1, n2, n3", text, StringComparison.Ordinal);
        Assert.True(code == 0, output);
        Assert.EndsWith($"Success: rolling restart of cluster {cluster.Scope}\n", output, StringComparison.Ordinal);
        Assert.NotEqual(leader, await cluster.HealthyAsync());
        foreach (var node in cluster.Nodes)
        {
            Assert.Equal("60", await node.SqlAsync("SHOW max_connections"));
        }
    }

    private static async Task<JsonArray> ListAsync(TestCluster cluster) =>
        JsonNode.Parse((await cluster.CtlAsync("list", cluster.Scope, "-f", "json")).Output)!.AsArray();

    private static string InHours(int hours) => DateTimeOffset.UtcNow.AddHours(hours)
        .ToString("yyyy-MM-dd'T'HH:mm:ss'+00:00'", CultureInfo.InvariantCulture);
}
