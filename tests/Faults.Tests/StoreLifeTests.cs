using System.Diagnostics;
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
