using System.Text.Json.Nodes;
using Routing.Faults.Tests.Drills;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>A primary whose process runs, and which is of no use: <c>routing_health</c>.</summary>
public sealed class UnwellPrimaryTests(UnwellPrimaryTests.TwoNodes fixture) : IClassFixture<UnwellPrimaryTests.TwoNodes>
{
    /// <summary>The least that can be configured.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task By_default_a_full_disk_is_told_and_the_leader_stays()
    {
        var (cluster, leader) = await TakeAsync("report");
        var filler = Path.Combine(DiskOf(leader), "filler");
        // The file of WAL that the server writes into exists from now on: one that it could not create would end it.
        await leader.SqlAsync("CREATE TABLE ahead_of_the_full_disk AS SELECT 1");

        Disk.Fill(filler);
        await cluster.UntilAsync(async () => (await ToldAsync(leader)).Unhealthy == "disk_full", "the REST tells it");
        var told = await ToldAsync(leader);
        var metric = await MetricAsync(leader, "disk_full");
        // Longer than the patience: with the other policy the leadership would be gone.
        await Task.Delay(s_patience * 1.5, TestContext.Current.CancellationToken);
        var still = await cluster.LeaderNameAsync();
        File.Delete(filler);

        Assert.Equal("unhealthy_disk_full", told.Code);
        Assert.Contains("its PostgreSQL is unwell: disk full: ", told.Reason, StringComparison.Ordinal);
        Assert.Equal(1, metric);
        Assert.Equal(leader.Name, still);
        await cluster.UntilAsync(async () => await MetricAsync(leader, "disk_full") == 0, "the metric is back");
        Assert.Equal(leader, await cluster.HealthyAsync());
    }

    [Fact]
    public async Task A_primary_whose_disk_is_full_gives_way_to_a_healthy_standby()
    {
        var (cluster, leader) = await TakeAsync("failover");
        var filler = Path.Combine(DiskOf(leader), "filler");

        await GivesWayAsync(cluster, leader, "disk full", () => Disk.Fill(filler), () => File.Delete(filler));
    }

    /// <summary>
    /// Nobody writes: the first write would end its server, and an end of the server is another fault.
    /// </summary>
    [Fact]
    public async Task An_idle_primary_whose_data_directory_takes_no_writes_gives_way_to_a_healthy_standby()
    {
        var (cluster, leader) = await TakeAsync("failover");
        await leader.SqlAsync("CREATE TABLE kept AS SELECT 1");
        // After the last transaction the server itself writes one record more, within 15 s, and then no other.
        var written = await leader.SqlAsync("SELECT pg_current_wal_insert_lsn()");
        await cluster.UntilAsync(
            async () => await leader.SqlAsync("SELECT pg_current_wal_insert_lsn()") != written,
            "the server has nothing more to write");
        var before = leader.CountInLog(Said("disk read only"));
        TestNode next;
        try
        {
            Disk.MakeReadOnly(leader.DataDirectory);
            next = await cluster.LeaderAsync(not: leader);
        }
        finally
        {
            Disk.MakeWritable(leader.DataDirectory);
        }

        Assert.Equal(before + 1, leader.CountInLog(Said("disk read only")));
        Assert.Equal(next, await cluster.HealthyAsync());
        Assert.Equal("1", await next.SqlAsync("SELECT count(*) FROM kept"));
    }

    [Fact]
    public async Task A_primary_whose_PostgreSQL_is_frozen_whole_gives_way_to_a_healthy_standby()
    {
        var (cluster, leader) = await TakeAsync("failover");
        FrozenNode? frozen = null;

        await GivesWayAsync(cluster, leader, "hangs", () => frozen = leader.FreezePostgres(), () => frozen?.Dispose());
    }

    private static async Task GivesWayAsync(
        TestCluster cluster, TestNode leader, string problem, Action harm, Action heal)
    {
        var before = leader.CountInLog(Said(problem));
        await using var judge = await Judge.StartAsync(cluster, leader);
        TestNode next;
        try
        {
            harm();
            next = await cluster.LeaderAsync(not: leader);
            await judge[next].MoreAsync(50);
        }
        finally
        {
            heal();
        }

        Assert.Equal(before + 1, leader.CountInLog(Said(problem)));
        Assert.Equal(next, await cluster.HealthyAsync());
        await judge.OnePrimaryAndNothingLostAsync(next);
    }

    private static string Said(string problem) => $"gives its leadership up: {problem}: ";

    private async Task<(TestCluster Cluster, TestNode Leader)> TakeAsync(string policy)
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await cluster.ConfigureAsync(new JsonObject
        {
            ["routing_health"] =
                new JsonObject { ["policy"] = policy, ["interval"] = 1, ["patience"] = (int)s_patience.TotalSeconds },
        });
        return (cluster, leader);
    }

    /// <summary>A file system of its own, so that nobody else's is filled.</summary>
    private static string DiskOf(TestNode node)
    {
        if (node.DiskPath == node.DirectoryPath)
        {
            Assert.Skip($"No small disks here: {NamespaceLab.WhyNot}.");
        }
        return node.DiskPath;
    }

    private static async Task<(string? Code, string Reason, string? Unhealthy)> ToldAsync(TestNode node)
    {
        var routing = (await node.GetAsync("/patroni"))?["routing"];
        return (routing?["code"]?.ToString(), routing?["reason"]?.ToString() ?? "", routing?["unhealthy"]?.ToString());
    }

    private static async Task<int> MetricAsync(TestNode node, string problem)
    {
        var (_, metrics) = await node.SendAsync("GET", "/metrics");
        var line = metrics.Split('\n').FirstOrDefault(line =>
            line.StartsWith("routing_postgres_unhealthy", StringComparison.Ordinal)
                && line.Contains($"\"{problem}\"", StringComparison.Ordinal));
        return line is null ? -1 : int.Parse(line.Split(' ')[^1], null);
    }

    public sealed class TwoNodes : ClusterFixture
    {
        protected override TestClusterOptions Options => new()
        {
            Nodes = 2,
            Network = TestNetworks.Best(),
            Dcs = new JsonObject { ["synchronous_mode"] = true },
        };

        protected override Task UntilReadyAsync(TestCluster cluster) => cluster.SynchronousAsync();
    }
}
