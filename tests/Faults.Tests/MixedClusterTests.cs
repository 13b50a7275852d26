using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>
/// Clusters of our agents and Patroni's whose leader, of either kind, is killed, frozen, or cut off from etcd.
/// Patroni's smallest ttl is 20 s, so they run with ROUTING_TEST_FULL=1 alone.
/// </summary>
public sealed class MixedClusterTests : IAsyncLifetime
{
    private static readonly bool s_isFull =
        Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") is { Length: > 0 };
    private static readonly TimeSpan s_patience = TestCluster.Patience * 3;
    private readonly Dictionary<string, TcpRelay> _links = [];
    private TestCluster? _cluster;

    /// <summary>Patroni's series, the members (R: ours, P: Patroni; the first leads), the mode, the fault.</summary>
    public static TheoryData<string, string, string, string> Drills
    {
        get
        {
            if (!s_isFull)
            {
                return new() { { "3", "PRP", "synchronous", "killed" } };
            }
            var rows = new TheoryData<string, string, string, string>();
            foreach (var package in PatroniPackage.All)
            {
                foreach (var members in (string[])["RPR", "RPP", "PRP", "PRR"])
                {
                    rows.Add(package.Series, members, "asynchronous", "killed");
                    rows.Add(package.Series, members, "asynchronous", "cut");
                    // A primary of Patroni's that wakes up takes a write before its agent stops it, where none waits
                    // for a standby.
                    var mode = package.Series == "3" ? "synchronous" : "quorum";
                    foreach (var fault in (string[])["killed", "cut", "frozen"])
                    {
                        rows.Add(package.Series, members, mode, fault);
                    }
                }
            }
            return rows;
        }
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_cluster is not null)
        {
            await _cluster.DisposeAsync();
        }
        foreach (var link in _links.Values)
        {
            await link.DisposeAsync();
        }
    }

    [Theory]
    [MemberData(nameof(Drills))]
    public async Task Another_one_leads_and_nothing_is_lost(string series, string members, string mode, string fault)
    {
        Assert.SkipUnless(s_isFull, "ROUTING_TEST_FULL=1 runs this drill.");
        var cluster = await StartAsync(PatroniPackage.Of(series), members, mode);
        var leader = await cluster.HealthyAsync(s_patience);
        Assert.Equal(cluster.Nodes[0], leader);
        await using var judge = await Judge.StartAsync(
            cluster, leader, Writer.LongPatience, isSynchronous: mode != "asynchronous");

        var next = fault switch
        {
            "killed" => await KilledAsync(cluster, leader),
            "frozen" => await FrozenAsync(cluster, leader),
            _ => await CutAsync(cluster, leader),
        };
        await judge[next].MoreAsync(20, s_patience);
        var now = await cluster.HealthyAsync(s_patience);

        if (mode == "asynchronous")
        {
            var lost = await judge.LostOnAsync(now);
            var two = Judge.FaultIn(judge.Writes);
            Assert.True(two is null, $"{two}\n{cluster.Report()}");
            TestContext.Current.TestOutputHelper?.WriteLine($"{lost} of {judge.Writes.Count} writes were lost");
        }
        else
        {
            await judge.OnePrimaryAndNothingLostAsync(now);
        }
    }

    private static async Task<TestNode> KilledAsync(TestCluster cluster, TestNode leader)
    {
        await leader.KillAsync();
        var next = await cluster.LeaderAsync(not: leader, within: s_patience);
        leader.Start();
        return next;
    }

    private static async Task<TestNode> FrozenAsync(TestCluster cluster, TestNode leader)
    {
        // Our fence is a process of its own, which goes on and stops the server.
        using (leader.Freeze())
        {
            return await cluster.LeaderAsync(not: leader, within: s_patience);
        }
    }

    private async Task<TestNode> CutAsync(TestCluster cluster, TestNode leader)
    {
        _links[leader.Name].Cut();
        var next = await cluster.LeaderAsync(not: leader, within: s_patience);
        _links[leader.Name].Refuses = false;
        return next;
    }

    private async Task<TestCluster> StartAsync(PatroniPackage package, string members, string mode)
    {
        var dcs = new JsonObject { ["retry_timeout"] = 3 };
        if (mode != "asynchronous")
        {
            dcs["synchronous_mode"] = mode == "quorum" ? "quorum" : true;
        }
        var cluster = _cluster = await TestCluster.PrepareAsync(new()
        {
            Ttl = 20,
            Dcs = dcs,
            Configure = (node, config) =>
            {
                var link = _links[node.Name] = new TcpRelay(new Uri($"http://{config["etcd3"]!["hosts"]![0]}"));
                config["etcd3"] = new JsonObject
                {
                    ["hosts"] = new JsonArray($"{link.Endpoint.Host}:{link.Endpoint.Port}"),
                    // Patroni asks etcd for its members otherwise, and goes around the relay.
                    ["use_proxies"] = true,
                };
            },
        });
        foreach (var (node, kind) in cluster.Nodes.Zip(members))
        {
            node.Patroni = kind == 'P' ? package : null;
            node.Start();
            if (node == cluster.Nodes[0])
            {
                await cluster.LeaderAsync(within: s_patience);
            }
        }
        return cluster;
    }
}
