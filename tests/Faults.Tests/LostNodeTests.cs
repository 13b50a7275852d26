using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>Whole nodes, and what is on them, go.</summary>
[Collection(SecondCluster.Name)]
public sealed class LostNodeTests(SynchronousCluster fixture)
{
    [Fact]
    public async Task When_all_nodes_die_the_cluster_comes_back_with_everything_that_was_acknowledged()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var judge = await Judge.StartAsync(cluster, leader);

        await Task.WhenAll(cluster.Nodes.Select(node => node.KillAsync()));
        cluster.StartMissing();
        var now = await cluster.HealthyAsync();
        await judge[now].MoreAsync(50);

        await judge.OnePrimaryAndNothingLostAsync(now);
    }

    [Fact]
    public async Task A_replica_that_lost_its_disk_is_copied_anew()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[0];
        await using var judge = await Judge.StartAsync(cluster, leader);

        await replica.KillAsync();
        replica.LoseDisk();
        replica.Start();

        Assert.Equal(leader, await cluster.HealthyAsync());
        await judge.OnePrimaryAndNothingLostAsync(leader);
    }

    [Fact]
    public async Task A_primary_that_lost_its_disk_is_replaced_and_copied_anew()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var judge = await Judge.StartAsync(cluster, leader);

        await leader.KillAsync();
        leader.LoseDisk();
        leader.Start();
        var next = await cluster.LeaderAsync(not: leader);

        Assert.Equal(next, await cluster.HealthyAsync());
        await judge.OnePrimaryAndNothingLostAsync(next);
    }

    [Fact]
    public async Task A_node_that_dies_while_it_is_copied_begins_again()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        // A copy that takes many minutes, so that the node dies in the middle of it.
        var added = cluster.AddNode(
            (_, config) => config["postgresql"]!["basebackup"] = new JsonObject { ["max-rate"] = "32k" });

        added.Start();
        await cluster.UntilAsync(
            () => IsRunning("pg_basebackup", added) && HasBegun(added), "the copy runs");
        await added.KillAsync();
        added.Config["postgresql"]!.AsObject().Remove("basebackup");
        added.WriteConfig();
        added.Start();

        Assert.Equal(leader, await cluster.HealthyAsync());
        await cluster.RemoveNodeAsync(added);
    }

    // The copy fills a folder of its own within the data directory.
    private static bool HasBegun(TestNode node) =>
        Directory.Exists(node.DataDirectory)
        && Directory.EnumerateDirectories(node.DataDirectory).Append(node.DataDirectory).Any(
            folder => File.Exists(Path.Combine(folder, "backup_label")));

    private static bool IsRunning(string program, TestNode node) =>
        OrdinaryProcess.Find(node.DataDirectory)
            .Any(process => process.Command.Contains(program, StringComparison.Ordinal));
}

/// <summary>The node that makes a new cluster dies in the middle of it.</summary>
public sealed class BootstrapFaultTests
{
    [Fact]
    public async Task A_node_that_dies_while_it_makes_the_cluster_leaves_nothing_that_blocks_the_next_try()
    {
        await using var cluster = await TestCluster.PrepareAsync(new() { Nodes = 2 });
        var first = cluster.Nodes[0];
        // An initdb that never ends, so that the node dies before it has.
        var made = Path.Combine(first.DirectoryPath, "made");
        var postgresql = first.Config["postgresql"]!.AsObject();
        postgresql["bin_name"] = new JsonObject
        {
            ["initdb"] = first.WriteProgram(
                "initdb.sh", $"{postgresql["bin_dir"]}/initdb \"$@\" && touch {made}\nexec sleep 1000\n"),
        };
        first.WriteConfig();

        first.Start();
        await cluster.UntilAsync(() => File.Exists(made), "initdb runs and has filled the directory");
        await first.KillAsync();
        postgresql.Remove("bin_name");
        first.WriteConfig();
        var left = (await cluster.Keys.GetAsync("initialize"))?.Value;
        // What an operator does after such a death: the key has no lease, so that nobody makes a second cluster by
        // himself.
        await cluster.Keys.DeleteAsync("initialize");
        if (Directory.Exists(first.DataDirectory))
        {
            first.LoseDisk();
        }
        cluster.StartMissing();
        await cluster.HealthyAsync();

        Assert.Equal("", left);
        Assert.Equal(
            await cluster.Nodes[0].SqlAsync("SELECT system_identifier FROM pg_control_system()"),
            await cluster.Nodes[1].SqlAsync("SELECT system_identifier FROM pg_control_system()"));
    }
}
