using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>PostgreSQL's own incremental backups, which need summaries of the WAL (17 and later).</summary>
[Collection(SharedCluster.Name)]
public sealed class IncrementalBackupTests(ClusterFixture fixture)
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task An_increment_of_the_next_leader_continues_the_full_backup_of_the_one_before()
    {
        Assert.SkipUnless(PostgresUnderTest.Major >= 17, "PostgreSQL has incremental backups from 17 on.");
        var (cluster, leader) = await fixture.TakeAsync();
        using var directory = new TempDirectory("increment");
        OrdinaryProcess.GiveAway(directory.Path);
        await SummarizeAsync(cluster, "on");
        var full = await PostgresClient.RunAsync(
            directory, leader.Port, "pg_basebackup", "-D", directory["full"], "-c", "fast");
        await leader.SqlAsync("CREATE TABLE incremented AS SELECT generate_series(1, 1000) AS n");
        var candidate = cluster.ReplicasOf(leader)[0];

        var (code, text) = await leader.SendAsync("POST", "/switchover",
            new JsonObject { ["leader"] = leader.Name, ["candidate"] = candidate.Name });
        Assert.True(code == 200, text);
        Assert.Equal(candidate, await cluster.HealthyAsync());
        await candidate.SqlAsync("INSERT INTO incremented VALUES (0)");
        var increment = await PostgresClient.RunAsync(
            directory, candidate.Port, "pg_basebackup", "-D", directory["increment"], "-c", "fast",
            $"--incremental={directory["full/backup_manifest"]}");
        var combined = await RunAsync(
            directory, "pg_combinebackup", directory["full"], directory["increment"], "-o", directory["combined"]);
        var verified = await RunAsync(directory, "pg_verifybackup", directory["combined"]);
        await candidate.SqlAsync("DROP TABLE incremented");
        await SummarizeAsync(cluster, null);

        Assert.All([full, increment, combined, verified], run => Assert.True(run.Code == 0, run.Output));
    }

    private static async Task SummarizeAsync(TestCluster cluster, string? value)
    {
        await cluster.ConfigureAsync(new JsonObject
        {
            ["postgresql"] = new JsonObject { ["parameters"] = new JsonObject { ["summarize_wal"] = value } },
        });
        foreach (var node in cluster.Nodes)
        {
            await cluster.UntilAsync(
                async () => await node.SqlAsync("SHOW summarize_wal") == (value ?? "off"),
                $"{node.Name} takes the setting");
        }
    }

    private static async Task<(int Code, string Output)> RunAsync(
        TempDirectory directory, string program, params string[] arguments)
    {
        var log = directory[$"{program}.log"];
        using var process = OrdinaryProcess.Start(
            log, directory.Path, [PostgresClient.PathOf(program), .. arguments]);
        var code = await process.WaitForExitAsync(s_limit);
        return (code, await File.ReadAllTextAsync(log));
    }
}
