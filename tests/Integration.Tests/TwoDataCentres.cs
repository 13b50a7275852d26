using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Two clusters, of which one follows the other: each with its own etcd, as in two data centres.</summary>
internal static class TwoDataCentres
{
    /// <summary>The slot that each keeps for the other.</summary>
    public const string Slot = "other_side";

    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    /// <summary>
    /// The life of the leader key in a long drill, in seconds: a busy machine must not move the leadership by itself.
    /// </summary>
    private const int LongTtl = 15;

    /// <summary>The long drills run.</summary>
    public static readonly bool IsFull = Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") is "1";

    /// <summary>The slots that each side has: the one for the other side, and these.</summary>
    public static JsonObject SlotsWith(params (string Name, JsonObject Slot)[] more)
    {
        var slots = new JsonObject { [Slot] = new JsonObject { ["type"] = "physical" } };
        foreach (var (name, slot) in more)
        {
            slots[name] = slot;
        }
        return slots;
    }

    /// <summary>The section of a cluster that follows this one.</summary>
    public static JsonObject SectionFor(TestCluster other) => new()
    {
        ["host"] = string.Join(',', other.Nodes.Select(node => node.Machine.Address)),
        ["port"] = string.Join(',', other.Nodes.Select(node => node.Port)),
        ["primary_slot_name"] = Slot,
    };

    /// <summary>The same for <c>demote-cluster</c>.</summary>
    public static string[] OptionsFor(TestCluster other)
    {
        var section = SectionFor(other);
        return ["--host", (string)section["host"]!, "--port", (string)section["port"]!];
    }

    /// <summary>Starts a cluster, and waits for its leader and for the others: two take their time to start.</summary>
    public static Task<TestCluster> StartPrimaryAsync(TestClusterOptions options) =>
        StartAsync(options, cluster => cluster.HealthyAsync(Patience));

    /// <summary>Starts a standby cluster, and waits for its leader and for the others.</summary>
    public static Task<TestCluster> StartFollowerAsync(TestClusterOptions options) =>
        StartAsync(options, cluster => StandbyLeaderAsync(cluster));

    private static async Task<TestCluster> StartAsync(
        TestClusterOptions options, Func<TestCluster, Task> isReadyAsync)
    {
        var cluster = await TestCluster.PrepareAsync(IsFull ? options with { Ttl = LongTtl } : options);
        try
        {
            cluster.StartMissing();
            await isReadyAsync(cluster);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits until one is the standby leader and every other started member streams from it.</summary>
    public static async Task<TestNode> StandbyLeaderAsync(TestCluster cluster, TestNode? not = null)
    {
        TestNode? found = null;
        await cluster.UntilAsync(
            async () =>
            {
                if (await cluster.LeaderNameAsync() is not { } name || name == not?.Name)
                {
                    return false;
                }
                found = cluster[name];
                if (await found.GetAsync("/patroni") is not { } status || (string?)status["role"] != "standby_leader"
                    || (string?)status["state"] != "running"
                    || (string?)(await cluster.Keys.GetAsync($"members/{name}"))?.Json["role"] != "standby_leader")
                {
                    return false;
                }
                foreach (var node in cluster.ReplicasOf(found))
                {
                    if (await node.GetAsync("/patroni") is not { } other
                        || (string?)other["replication_state"] != "streaming" || (string?)other["role"] != "replica")
                    {
                        return false;
                    }
                }
                return true;
            },
            "a standby leader leads, and the others stream", Patience);
        return found!;
    }

    /// <summary>Runs a command of routingctl that has to succeed.</summary>
    /// <returns>What it printed.</returns>
    public static async Task<string> CtlAsync(TestCluster cluster, params string[] arguments)
    {
        var (code, output) = await cluster.CtlAsync(arguments);
        Assert.True(code == 0, $"{string.Join(' ', arguments)}: exit code {code}: {output}\n{cluster.Report()}");
        return output;
    }

    /// <summary>
    /// A planned switch: one command on each side, the second as the first has told it.
    /// </summary>
    public static async Task SwitchAsync(TestCluster from, TestCluster to)
    {
        var told = await CtlAsync(
            from, ["demote-cluster", from.Scope, .. OptionsFor(to), "--primary-slot-name", Slot, "--yes"]);
        var command = told.Split('\n').Single(line => line.Contains("promote-cluster", StringComparison.Ordinal));
        await CtlAsync(to, ["promote-cluster", to.Scope, .. command.Trim().Split(' ')[2..], "--yes"]);
    }
}
