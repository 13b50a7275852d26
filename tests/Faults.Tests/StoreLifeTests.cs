using System.Diagnostics;
using System.Text.Json.Nodes;
using Npgsql;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>etcd is set up anew, or restored from a snapshot, under a running cluster with a proxy before it.</summary>
[Collection(SharedCluster.Name)]
public sealed class StoreLifeTests(SynchronousCluster fixture)
{
    private const int Rounds = 3;

    public static TheoryData<string, string?> Ways => new()
    {
        { "wipe", null }, { "wipe", "token-of-a-new-cluster" }, { "restore", null },
        { "restore", "token-of-a-restored-cluster" },
    };

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task The_leader_goes_on_and_the_proxy_follows_the_next_one(string way, string? token)
    {
        for (var round = 0; round < Rounds; round++)
        {
            var (cluster, first) = await fixture.TakeAsync();
            await using var proxy = await ProxyProcess.StartAsync(cluster);
            var snapshot = await cluster.Etcd.SaveSnapshotAsync();   // names the first leader, and its lease
            var leader = await SwitchOverAsync(cluster, first);
            await using var judge = await Judge.StartAsync(cluster, leader, Writer.LongPatience);
            var timeline = judge[leader].Writes[^1].Timeline;

            var began = Stopwatch.GetTimestamp();
            await (way == "wipe" ? cluster.Etcd.WipeAsync(Unique(token, round))
                : cluster.Etcd.RestoreAsync(snapshot, Unique(token, round)));
            var away = Stopwatch.GetElapsedTime(began);
            await judge[leader].MoreAsync(1);
            var now = await cluster.HealthyAsync();
            await judge[now].MoreAsync(500);
            await cluster.SynchronousAsync();
            await proxy.UntilAsync(async () => await PortAsync(proxy) == now.Port,
                "writes go to the leader through the proxy");
            if (away > cluster.Ttl / 3)
            {
                await judge.OnePrimaryAndNothingLostAsync(now);
                continue;   // too little of the lease may have been left for the leader to stay
            }
            Assert.Equal(leader, now);
            Assert.Equal(timeline, judge[leader].Writes[^1].Timeline);
            Assert.Empty(judge[leader].Errors);
            await judge.OnePrimaryAndNothingLostAsync(now);

            var next = await SwitchOverAsync(cluster, now);
            await proxy.UntilAsync(async () => await PortAsync(proxy) == next.Port,
                "the proxy follows to the next leader");
            return;
        }
        Assert.Skip($"{Rounds} times etcd needed more than a third of a lease to come back.");
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task When_the_leader_dies_with_the_store_another_leads_and_nothing_acknowledged_is_lost(
        string way, string? token)
    {
        var (cluster, first) = await fixture.TakeAsync();
        await using var proxy = await ProxyProcess.StartAsync(cluster);
        var snapshot = await cluster.Etcd.SaveSnapshotAsync();
        var leader = await SwitchOverAsync(cluster, first);
        await using var judge = await Judge.StartAsync(cluster, leader, Writer.LongPatience);

        await leader.KillAsync();
        await (way == "wipe" ? cluster.Etcd.WipeAsync(token) : cluster.Etcd.RestoreAsync(snapshot, token));
        var now = await cluster.LeaderAsync(not: leader);
        await judge[now].MoreAsync(50);
        await proxy.UntilAsync(async () => await PortAsync(proxy) == now.Port,
            "writes go to the new leader through the proxy");
        cluster.StartMissing();
        await cluster.HealthyAsync();

        await judge.OnePrimaryAndNothingLostAsync(await cluster.LeaderAsync());
    }

    [Fact]
    public async Task Keys_that_no_member_writes_are_rebuilt_from_the_members_that_are_left()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await RebuildAsync(cluster, leader, () => cluster.Etcd.WipeAsync("token-of-an-etcd-from-nothing"));
    }

    [Fact]
    public async Task When_most_of_etcd_is_lost_for_good_the_keys_are_rebuilt_in_a_new_one()
    {
        Assert.SkipUnless(
            Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") == "1", "runs with ROUTING_TEST_FULL=1");
        await using var cluster = await TestCluster.StartAsync(
            new() { EtcdMembers = 3, Dcs = new JsonObject { ["synchronous_mode"] = true } });
        await cluster.SynchronousAsync();
        var etcd = cluster.EtcdMembers.Members;
        await RebuildAsync(cluster, await cluster.LeaderAsync(), async () =>
        {
            await Task.WhenAll(etcd[1].KillAsync(), etcd[2].KillAsync());
            var (code, output) = await cluster.CtlAsync("list", cluster.Scope);
            Assert.True(code != 0, output);
            await Task.WhenAll(etcd.Select(member => member.WipeAsync("token-of-an-etcd-from-nothing")));
        });
    }

    /// <summary>
    /// In a pause nobody leads after the leader, and so nobody writes its keys into a new etcd: an operator does, by
    /// the word of the members that are left.
    /// </summary>
    private static async Task RebuildAsync(TestCluster cluster, TestNode leader, Func<Task> loseEtcd)
    {
        await using var judge = await Judge.StartAsync(cluster, leader, Writer.LongPatience);
        await CtlAsync("pause", cluster.Scope, "--wait");
        var keys = await cluster.Keys.AllAsync();
        await leader.KillAsync();
        await loseEtcd();
        string[] words =
        [
            "rebuild-keys", cluster.Scope,
            .. cluster.ReplicasOf(leader).SelectMany(
                node => new[] { "--member", $"http://{node.Machine.Address}:{node.RestPort}" }),
        ];
        var plan = await CtlAsync([.. words, "--dry-run"]);
        var (declined, _) = await cluster.CtlWithInputAsync("n\n", words);
        var left = await cluster.Keys.AllAsync();
        var (code, output) = await cluster.CtlWithInputAsync("y\n", words);
        var rebuilt = await cluster.Keys.AllAsync();

        Assert.All(cluster.ReplicasOf(leader),
            node => Assert.Contains($"  {node.Name}: replica, running, timeline", plan, StringComparison.Ordinal));
        Assert.Equal(1, declined);
        foreach (var key in new[] { "initialize", "config", "leader" })
        {
            Assert.DoesNotContain(key, left.Keys);
        }
        Assert.True(code == 0, output);
        Assert.Equal(keys["initialize"].Value, rebuilt["initialize"].Value);
        Assert.True(JsonNode.DeepEquals(keys["config"].Json, rebuilt["config"].Json), rebuilt["config"].Value);
        Assert.DoesNotContain("leader", rebuilt.Keys);

        // The command asks a member, and finds the members by the keys that they write themselves.
        await cluster.UntilAsync(async () =>
        {
            var written = await cluster.Keys.AllAsync();
            return cluster.ReplicasOf(leader).All(node => written.ContainsKey($"members/{node.Name}"));
        }, "the members have written their keys");
        await CtlAsync("resume", cluster.Scope);
        var next = await cluster.LeaderAsync(not: leader);
        await judge[next].MoreAsync(20);
        cluster.StartMissing();
        await cluster.HealthyAsync();
        await judge.OnePrimaryAndNothingLostAsync(await cluster.LeaderAsync());

        async Task<string> CtlAsync(params string[] arguments)
        {
            var (ended, said) = await cluster.CtlAsync(arguments);
            Assert.True(ended == 0, said);
            return said;
        }
    }

    private static string? Unique(string? token, int round) => token is null ? null : $"{token}-{round}";

    private static async Task<TestNode> SwitchOverAsync(TestCluster cluster, TestNode leader)
    {
        await cluster.SynchronousAsync();
        var (code, output) = await cluster.CtlAsync("switchover", cluster.Scope, "--leader", leader.Name, "--force");
        Assert.True(code == 0, output);
        await cluster.LeaderAsync(not: leader);
        var now = await cluster.HealthyAsync();
        await cluster.SynchronousAsync();
        return now;
    }

    /// <summary>The port of the server that a session through the proxy gets; 0: none now.</summary>
    private static async Task<int> PortAsync(ProxyProcess proxy)
    {
        try
        {
            await using var connection = await ProxyProcess.OpenAsync(proxy.WritePort);
            await using var command = new NpgsqlCommand("SELECT inet_server_port()", connection);
            return Convert.ToInt32(await command.ExecuteScalarAsync(),
                System.Globalization.CultureInfo.InvariantCulture);
        }
        catch (NpgsqlException)
        {
            return 0;
        }
    }
}
