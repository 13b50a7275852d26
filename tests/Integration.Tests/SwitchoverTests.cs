using System.Globalization;
using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>The leader changes because somebody asked for it.</summary>
[Collection(SharedCluster.Name)]
public sealed class SwitchoverTests(ClusterFixture fixture)
{
    [Fact]
    [Trait("Runs", "Last")]
    public async Task Ten_switchovers_lose_no_acknowledged_write()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var writer = await Writer.StartAsync(cluster);
        var rewinds = cluster.Nodes.Sum(node => node.CountInLog("[rewinds]"));
        var outages = new List<TimeSpan>();

        for (var round = 0; round < 10; round++)
        {
            var candidate = cluster.ReplicasOf(leader)[0];
            var written = writer.Writes.Length;
            var (code, text) = await leader.SendAsync(
                "POST", "/switchover", new JsonObject { ["leader"] = leader.Name, ["candidate"] = candidate.Name });
            Assert.Equal((200, $"Successfully switched over to \"{candidate.Name}\""), (code, text));
            leader = await cluster.HealthyAsync();
            Assert.Equal(candidate, leader);
            await writer.MoreAsync(20);
            outages.Add(writer.LongestOutageFrom(written - 1));
        }
        await writer.StopAsync();

        Assert.Empty(await writer.MissingOnAsync(leader));
        // A machine may hold up some of them; a lease that had to end first would hold up all.
        BusyMachine.AssertWithin(cluster.Ttl / 2, outages.Order().ElementAt(outages.Count / 2));
        Assert.Equal(rewinds, cluster.Nodes.Sum(node => node.CountInLog("[rewinds]")));
    }

    [Fact]
    public async Task A_scheduled_switchover_happens_at_its_time_and_not_before()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var candidate = cluster.ReplicasOf(leader)[1];
        var due = DateTimeOffset.UtcNow.AddSeconds(8);

        var (code, text) = await leader.SendAsync("POST", "/switchover", new JsonObject
        {
            ["leader"] = leader.Name, ["candidate"] = candidate.Name,
            ["scheduled_at"] = due.ToString("O", CultureInfo.InvariantCulture),
        });
        var announced = (await leader.DocumentAsync("/cluster"))["scheduled_switchover"];
        await cluster.UntilAsync(async () => await cluster.LeaderNameAsync() != leader.Name,
            "the leader gives its key up");
        var happened = DateTimeOffset.UtcNow;

        Assert.Equal((202, "Switchover scheduled"), (code, text));
        Assert.Equal((leader.Name, candidate.Name), (announced!["from"]!.ToString(), announced["to"]!.ToString()));
        Assert.InRange(happened, due, due.AddSeconds(10));
        var now = await cluster.HealthyAsync();
        Assert.True(candidate == now, $"{now} leads, not {candidate}\n{cluster.Report()}");
        Assert.Equal("{}", (await cluster.Keys.GetAsync("failover"))!.Value);
    }

    [Fact]
    public async Task A_scheduled_switchover_can_be_taken_back()
    {
        var (cluster, leader) = await fixture.TakeAsync();

        var (scheduled, _) = await leader.SendAsync("POST", "/switchover", new JsonObject
        {
            ["leader"] = leader.Name,
            ["scheduled_at"] = DateTimeOffset.UtcNow.AddHours(1).ToString("O", CultureInfo.InvariantCulture),
        });
        var (deleted, text) = await leader.SendAsync("DELETE", "/switchover");
        var (again, _) = await leader.SendAsync("DELETE", "/switchover");

        Assert.Equal((202, 200, "scheduled switchover deleted", 404), (scheduled, deleted, text, again));
        Assert.Equal(leader, await cluster.HealthyAsync());
    }

    [Fact]
    public async Task Routingctl_switches_over()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var candidate = cluster.ReplicasOf(leader)[0];

        var (code, output) = await cluster.CtlAsync(
            "switchover", cluster.Scope, "--leader", leader.Name, "--candidate", candidate.Name, "--force");

        Assert.True(code == 0, output);
        Assert.Contains($"Successfully switched over to \"{candidate.Name}\"", output, StringComparison.Ordinal);
        Assert.Equal(candidate, await cluster.HealthyAsync());
    }

    [Fact]
    public async Task A_failover_goes_to_the_named_candidate()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var candidate = cluster.ReplicasOf(leader)[1];

        // Asked of the other replica, which has to pass it on through the DCS.
        var (code, text) = await cluster.ReplicasOf(leader)[0].SendAsync(
            "POST", "/failover", new JsonObject { ["candidate"] = candidate.Name });

        Assert.Equal((200, $"Successfully failed over to \"{candidate.Name}\""), (code, text));
        Assert.Equal(candidate, await cluster.HealthyAsync());
    }

    [Theory]
    [InlineData("/failover", """{}""", 400)]
    [InlineData("/switchover", """{"candidate":"n1"}""", 400)]
    [InlineData("/switchover", """{"leader":"nobody"}""", 412)]
    [InlineData("/failover", """{"candidate":"nobody"}""", 412)]
    public async Task A_request_that_cannot_be_met_is_refused_and_changes_nothing(
        string path, string body, int expected)
    {
        var (cluster, leader) = await fixture.TakeAsync();

        var (code, _) = await leader.SendAsync("POST", path, JsonNode.Parse(body));

        Assert.Equal(expected, code);
        Assert.Equal(leader, await cluster.HealthyAsync());
    }
}
