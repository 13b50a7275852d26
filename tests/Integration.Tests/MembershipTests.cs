using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Members come, and their tags say what they may become.</summary>
[Collection(SharedCluster.Name)]
public sealed class MembershipTests(ClusterFixture fixture)
{
    [Fact]
    public async Task A_replica_is_added_while_the_primary_is_under_load()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var writer = await Writer.StartAsync(cluster, Writer.LongPatience);
        var added = cluster.AddNode();

        added.Start();
        Assert.Equal(leader, await cluster.HealthyAsync());
        await writer.MoreAsync(50);
        await writer.StopAsync();
        await cluster.UntilAsync(async () => (await writer.MissingOnAsync(added)).Count == 0,
            "the new replica has every write");

        Assert.Empty(writer.Errors);
        Assert.Equal("1", await leader.SqlAsync(
            $"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{added.Name}' AND active"));
        Assert.Equal("t", await added.SqlAsync("SELECT pg_is_in_recovery()::text::char"));
        await cluster.RemoveNodeAsync(added);
    }

    [Fact]
    public async Task A_member_tagged_nofailover_is_never_chosen()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var (barred, chosen) = (cluster.ReplicasOf(leader)[0], cluster.ReplicasOf(leader)[1]);
        await TagAsync(cluster, barred, new JsonObject { ["nofailover"] = true });

        var (code, _) = await leader.SendAsync(
            "POST", "/switchover", new JsonObject { ["leader"] = leader.Name, ["candidate"] = barred.Name });
        await leader.StopAsync();
        var next = await cluster.LeaderAsync(not: leader);

        Assert.Equal(412, code);
        Assert.Equal(chosen, next);
        leader.Start();
        await cluster.HealthyAsync();
        await TagAsync(cluster, barred, []);
    }

    [Fact]
    public async Task Of_equals_the_one_with_the_higher_failover_priority_leads()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var preferred = cluster.ReplicasOf(leader)[1];
        await TagAsync(cluster, preferred, new JsonObject { ["failover_priority"] = 5 });
        await cluster.UntilAsync(
            async () => await ReceivedAsync(cluster.ReplicasOf(leader)[0]) is { } position
                && position == await ReceivedAsync(preferred),
            "both replicas have received the same");

        // Killed: who stops hands over, and waits for one of them alone.
        await leader.KillAsync();
        var next = await cluster.LeaderAsync(not: leader);

        Assert.Equal(preferred, next);
        leader.Start();
        await cluster.HealthyAsync();
        await TagAsync(cluster, preferred, []);

        static Task<string?> ReceivedAsync(TestNode replica) => replica.SqlAsync("SELECT pg_last_wal_receive_lsn()");
    }

    [Fact]
    public async Task A_member_tagged_replicatefrom_streams_from_that_member_and_back_from_the_leader()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var (middle, end) = (cluster.ReplicasOf(leader)[0], cluster.ReplicasOf(leader)[1]);

        await TagAsync(cluster, end, new JsonObject { ["replicatefrom"] = middle.Name });
        await cluster.UntilAsync(() => StreamsAsync(middle, end), $"{end.Name} streams from {middle.Name}");
        await cluster.UntilAsync(async () => !await StreamsAsync(leader, end),
            $"{end.Name} streams from the leader no more");
        // Every agent tells it, also the leader's, which has no part in it.
        await cluster.UntilAsync(async () => await UpstreamAsync(leader, end) == middle.Name
            && await UpstreamAsync(end, middle) == leader.Name, "the members tell where they stream from");
        await using var writer = await Writer.StartAsync(cluster);
        await writer.StopAsync();
        await cluster.UntilAsync(async () => (await writer.MissingOnAsync(end)).Count == 0,
            "writes come down the cascade");
        await TagAsync(cluster, end, []);
        await cluster.UntilAsync(() => StreamsAsync(leader, end), $"{end.Name} streams from the leader");

        Assert.Equal(leader, await cluster.HealthyAsync());

        static async Task<string?> UpstreamAsync(TestNode asked, TestNode of) =>
            (string?)(await asked.DocumentAsync("/members"))["members"]!.AsArray()
                .Single(member => (string?)member!["name"] == of.Name)!["upstream"];

        static async Task<bool> StreamsAsync(TestNode from, TestNode to) =>
            await from.SqlAsync($"SELECT count(*) FROM pg_stat_replication WHERE application_name = '{to.Name}'")
                == "1";
    }

    [Fact]
    public async Task A_cluster_stays_in_its_site_and_goes_to_another_when_it_is_told()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var (near, far) = (cluster.ReplicasOf(leader)[0], cluster.ReplicasOf(leader)[1]);
        foreach (var (node, site) in new[] { (leader, "dc1"), (near, "dc1"), (far, "dc2") })
        {
            await SiteAsync(cluster, node, site);
        }
        // By its priority alone it would lead whenever the leader is gone.
        await TagAsync(cluster, far, new JsonObject { ["failover_priority"] = 5 });
        var (_, list) = await cluster.CtlAsync("list", "-f", "json");
        Assert.Equal("dc2", (string?)JsonNode.Parse(list)!.AsArray()
            .Single(row => (string?)row!["Member"] == far.Name)!["Site"]);
        Assert.Equal("dc1", (string?)(await leader.DocumentAsync("/patroni"))["site"]);

        Assert.True(await UntilDoneAsync(async () =>
        {
            await LedFromAsync("dc1");
            await cluster.UntilAsync(async () => await ReceivedAsync(near) is { } position
                && position == await ReceivedAsync(far), "both replicas have received the same");
            await leader.KillAsync();
            var next = await cluster.LeaderAsync(not: leader);
            leader.Start();
            (leader, near) = next == near ? (near, leader) : (leader, near);
            return next != far;
        }), "the site's own member takes over");
        Assert.True(await UntilDoneAsync(async () =>
        {
            await LedFromAsync("dc1");
            return (await cluster.CtlAsync("switchover", "--site", "dc2", "--force")).Code == 0
                && await cluster.LeaderNameAsync() == far.Name;
        }), "a member of the wanted site takes over");
        await LedFromAsync("dc2");

        await TagAsync(cluster, far, []);
        foreach (var node in new[] { leader, near, far })
        {
            await SiteAsync(cluster, node, null);
        }
        await cluster.HealthyAsync();

        // A machine that stands still for a lease's time lets anybody lead: then it is tried again.
        async Task<bool> UntilDoneAsync(Func<Task<bool>> step)
        {
            for (var attempt = 0; attempt < 3; attempt++)
            {
                var present = await cluster.HealthyAsync();
                if (present == far && (await cluster.CtlAsync("switchover", "--site", "dc1", "--force")).Code == 0)
                {
                    present = await cluster.HealthyAsync();
                }
                (leader, near) = present == near ? (near, leader) : (leader, near);
                if (present != far && await step())
                {
                    return true;
                }
            }
            return false;
        }

        Task LedFromAsync(string site) => cluster.UntilAsync(
            async () => (string?)(await cluster.Keys.GetAsync("status"))?.Json["current_site"] == site,
            $"the status tells that {site} leads");

        static Task<string?> ReceivedAsync(TestNode replica) => replica.SqlAsync("SELECT pg_last_wal_receive_lsn()");
    }

    private static async Task SiteAsync(TestCluster cluster, TestNode node, string? site)
    {
        node.Config.Remove("site");
        if (site is not null)
        {
            node.Config["site"] = site;
        }
        node.WriteConfig();
        node.SignalAgent(ProcessSignal.Hangup);
        await cluster.UntilAsync(
            async () => (string?)(await cluster.Keys.GetAsync($"members/{node.Name}"))?.Json["site"] == site,
            $"the member key of {node.Name} shows the site {site}");
    }

    /// <summary>Writes the tags into the member's file and reloads it (SIGHUP).</summary>
    private static async Task TagAsync(TestCluster cluster, TestNode node, JsonObject tags)
    {
        var expected = tags.ToJsonString();
        node.Config["tags"] = tags;
        node.WriteConfig();
        node.SignalAgent(ProcessSignal.Hangup);
        await cluster.UntilAsync(
            async () => ((await cluster.Keys.GetAsync($"members/{node.Name}"))?.Json["tags"]?.ToJsonString() ?? "{}")
                == expected,
            $"the member key of {node.Name} shows the tags {expected}");
    }
}
