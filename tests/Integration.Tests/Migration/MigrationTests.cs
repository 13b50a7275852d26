using Routing.TestKit;

namespace Routing.Integration.Tests.Migration;

/// <summary>
/// A cluster of Patroni's moves over, node by node, under a client that writes, and back: by the commands of
/// <c>docs/migration.md</c>.
/// </summary>
public sealed class MigrationTests
{
    /// <summary>Patroni's series and the mode.</summary>
    public static TheoryData<string, string> Clusters
    {
        get
        {
            var rows = new TheoryData<string, string> { { "3", "asynchronous" } };
            if (MixedCluster.IsFull)
            {
                rows.Add("3", "synchronous");
            }
            if (PatroniPackage.Newer is { } newer)
            {
                rows.Add(newer.Series, "asynchronous");
                rows.Add(newer.Series, "quorum");
            }
            return rows;
        }
    }

    [Fact]
    public void Each_command_of_the_page_stands_where_a_test_finds_it()
    {
        string[] run = ["before", "node", "node there", "switchover", "node back", "pause", "resume", "node takeover"];

        Assert.Equal(run.Order(StringComparer.Ordinal), MigrationPage.Labels.Order(StringComparer.Ordinal));
        Assert.Equal(MigrationPage.CountOfBlocks, MigrationPage.CountOfCommandBlocks);
    }

    [Theory]
    [MemberData(nameof(Clusters))]
    public async Task A_cluster_moves_over_node_by_node_and_back(string series, string mode)
    {
        var package = PatroniPackage.Of(series);
        // With two members as with three, in less time.
        var members = MixedCluster.IsFull ? "PPP" : "PP-";
        await using var cluster = await MixedCluster.StartAsync(package, members, MixedCluster.Mode(mode));
        await using var writer = await Writer.StartAsync(cluster, Writer.LongPatience);
        var leader = await cluster.ReadyAsync(mode);
        await MigrationPage.RunAsync(cluster, leader, "before");
        await MigrationPage.RunAsync(cluster, leader, "node");

        leader = await MoveAsync(leader, "node there");
        leader = await MoveAsync(leader, "node back");

        await writer.MoreAsync(20);
        await writer.StopAsync();
        Assert.Empty(await writer.MissingOnAsync(leader));
        // A lost leader would cost a ttl.
        BusyMachine.AssertWithin(cluster.Ttl, writer.LongestOutage);
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{writer.Writes.Length} writes, longest outage {writer.LongestOutage.TotalSeconds:0.0} s");

        async Task<TestNode> MoveAsync(TestNode first, string label)
        {
            var before = writer.Errors.Length;
            foreach (var standby in cluster.ReplicasOf(first))
            {
                await MigrationPage.RunAsync(cluster, standby, label, package: package);
                Assert.Equal(first, await cluster.ReadyAsync(mode));
            }
            await writer.MoreAsync(10);
            // Clients of the primary notice nothing of its standbys.
            Assert.Equal(before, writer.Errors.Length);

            var next = cluster.ReplicasOf(first)[0];
            await MigrationPage.RunAsync(cluster, first, "switchover", next);
            Assert.Equal(next, await cluster.ReadyAsync(mode));
            await writer.MoreAsync(10);
            var after = writer.Errors.Length;
            await MigrationPage.RunAsync(cluster, first, label, package: package);
            Assert.Equal(next, await cluster.ReadyAsync(mode));
            await writer.MoreAsync(10);
            Assert.Equal(after, writer.Errors.Length);
            return next;
        }
    }

    [Fact]
    public async Task In_a_pause_all_agents_change_and_no_server_is_restarted()
    {
        Assert.SkipUnless(MixedCluster.IsFull, "ROUTING_TEST_FULL=1 runs this drill.");
        var package = PatroniPackage.Debian12;
        await using var cluster = await MixedCluster.StartAsync(package, "PPP");
        await using var writer = await Writer.StartAsync(cluster, Writer.LongPatience);
        var leader = await cluster.ReadyAsync("asynchronous");
        var servers = cluster.Nodes.Select(node => node.PostmasterPid).ToArray();

        foreach (var label in (string[])["node there", "node back"])
        {
            await MigrationPage.RunAsync(cluster, leader, "pause");
            foreach (var node in cluster.Nodes)
            {
                await MigrationPage.RunAsync(cluster, node, label, package: package);
            }
            await cluster.UntilAsync(async () => await cluster.LeaderNameAsync() == leader.Name
                && await leader.GetAsync("/patroni") is not null, "the leader has its key");
            await cluster.HealthyAsync(TestCluster.Patience * 2);
            await MigrationPage.RunAsync(cluster, leader, "resume");
            Assert.Equal(leader, await cluster.HealthyAsync(TestCluster.Patience * 2));
        }

        await writer.MoreAsync(20);
        Assert.Equal(servers, cluster.Nodes.Select(node => node.PostmasterPid));
        Assert.Empty(writer.Errors);
    }
}
