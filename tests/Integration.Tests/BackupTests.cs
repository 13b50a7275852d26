using System.Text.Json.Nodes;
using Routing.Integration.Tests.Migration;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Backups with a real pgBackRest: archive, replica, delta restore, and a cluster back from nothing.</summary>
public sealed class BackupTests
{
    private static readonly bool s_isFull = Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") == "1";

    /// <summary>
    /// One story, because each part needs what the one before it made: a backup under load, replicas of it, the loss
    /// of everything but the repository, and the rows that were committed before a moment.
    /// </summary>
    [Fact]
    public async Task A_destroyed_cluster_comes_back_with_exactly_the_rows_committed_before_a_moment()
    {
        using var repository = new BackupRepository();
        var (rows, moment, lsn) = await LiveAsync(repository);

        if (s_isFull)
        {
            await FailAcrossGapAsync(repository, moment);
        }
        // Nothing is left of the cluster: no node, no etcd. The repository alone makes it anew.
        await RestoreAsync(repository, $"--type=time \"--target={moment}\"", rows, nodes: 2);
        if (s_isFull)
        {
            await RestoreAsync(repository, $"--type=lsn --target={lsn}", rows, nodes: 1);
            await RestoreAsync(repository, "--type=name --target=before_the_mistake", rows, nodes: 1);
            await RestoreAsync(repository, $"--type=immediate --set={repository.Backups()[0]}", null, nodes: 1);
        }
    }

    [Fact]
    public async Task A_repository_that_is_missing_is_named_and_leaves_no_half_cluster()
    {
        using var repository = new BackupRepository();
        await using var cluster = await TestCluster.PrepareAsync(new()
        {
            Nodes = 1,
            Configure = (node, config) =>
            {
                repository.Configure(node, config);
                BackupRepository.BootstrapFrom(node, config, "--type=immediate");
            },
        });
        var node = cluster.Nodes[0];

        node.Start();
        var code = await node.WaitForAgentExitAsync(TestCluster.Patience);

        Assert.Equal(1, code);
        Assert.True(node.CountInLog("no backup set found to restore") > 0, node.LogTail());
        Assert.True(node.CountInLog("the bootstrap failed: pgbackrest failed with exit code") > 0, node.LogTail());
        Assert.Null(await cluster.Keys.GetAsync("initialize"));
        Assert.False(File.Exists(Path.Combine(node.DataDirectory, "PG_VERSION")));
    }

    private static async Task<(long Rows, string Moment, string Lsn)> LiveAsync(BackupRepository repository)
    {
        await using var cluster = await TestCluster.PrepareAsync(new() { Nodes = 2, Configure = repository.Configure });
        var (first, second) = (cluster.Nodes[0], cluster.Nodes[1]);
        first.Start();
        await cluster.LeaderAsync();
        await using (var load = await Writer.StartAsync(cluster, Writer.LongPatience))
        {
            await repository.RunAsync(first, "stanza-create");
            Assert.Contains("n1 makes a backup of pay", await BackUpAsync(first, "--type", "full"),
                StringComparison.Ordinal);
            await load.MoreAsync(50);

            // the second node comes from the repository, not from the loaded primary
            second.Start();
            await cluster.HealthyAsync();
            Assert.Equal(1, second.CountInLog("created a replica by pgbackrest"));
            await load.MoreAsync(50);

            // The same timer runs on every node, and one of them makes the backup.
            Assert.Contains("Nothing to do here: n1 makes the backups of pay (leader).\n",
                await BackUpAsync(second, "--type", "incr"), StringComparison.Ordinal);
            Assert.Contains("Nothing to do here: n2 makes the backups of pay (replica).\n",
                await BackUpAsync(first, "--type", "incr", "--role", "replica"), StringComparison.Ordinal);
            Assert.Single(repository.Backups());
        }
        var rows = long.Parse((await first.SqlAsync("SELECT count(*) FROM written"))!, null);
        await first.SqlAsync("SELECT pg_create_restore_point('before_the_mistake')");
        var moment = (await first.SqlAsync("SELECT clock_timestamp()::text"))!;
        var lsn = (await first.SqlAsync("SELECT pg_current_wal_lsn()::text"))!;
        await using (var mistakes = await Writer.StartAsync(cluster, Writer.LongPatience))
        {
            await mistakes.MoreAsync(20);
        }
        await BackupRepository.ArchiveAsync(first);
        await WatchAsync(cluster, repository, first);

        // A member that was here before gets what differs alone: files that are as in the backup stay in place.
        var made = MadeAt(second);
        var (code, text) = await second.SendAsync("POST", "/reinitialize", new JsonObject { ["force"] = true });
        Assert.True(code == 200, text);
        await cluster.UntilAsync(
            () => second.CountInLog("created a replica by pgbackrest") == 2, "the member was restored again");
        await cluster.HealthyAsync();
        Assert.Equal(made, MadeAt(second));
        return (rows, moment, lsn);
    }

    /// <summary>What <c>routingctl backup</c> says on a node that it has succeeded on.</summary>
    private static Task<string> BackUpAsync(TestNode node, params string[] options) => HandMadeServers.RunAsync(
        node, [Programs.Ctl, "-c", node.ConfigFile, "backup", "pay", .. options]);

    /// <summary>The primary's REST and metrics tell of the repository, and of WAL that is missing there.</summary>
    private static async Task WatchAsync(TestCluster cluster, BackupRepository repository, TestNode primary)
    {
        var document = await primary.DocumentAsync("/backup");
        Assert.Equal(
            (null, null, null),
            ((string?)document["problem"], (string?)document["wal_problem"], (string?)document["missing_wal"]));
        await cluster.UntilAsync(
            async () => await primary.SendAsync("GET", "/metrics") is (200, var text)
                && text.Contains("routing_backup_repository_usable{", StringComparison.Ordinal)
                && text.Contains("routing_backup_last_age_seconds{", StringComparison.Ordinal),
            "the metrics tell of the backup");
        using (repository.LoseWal())
        {
            await cluster.UntilAsync(
                async () => (string?)(await primary.DocumentAsync("/backup"))["missing_wal"] is not null,
                "the WAL is missed");
        }
    }

    /// <summary>
    /// When a file was made that nothing changes after the backup: a delta restore leaves it in place, and a copy
    /// makes it anew.
    /// </summary>
    private static DateTime MadeAt(TestNode node) =>
        File.GetCreationTimeUtc(Path.Combine(node.DataDirectory, "base", "1", "PG_VERSION"));

    private static async Task RestoreAsync(BackupRepository repository, string target, long? rows, int nodes)
    {
        await using var cluster = await TestCluster.PrepareAsync(OptionsOf(repository, target, nodes));
        cluster.StartMissing();
        var leader = await cluster.HealthyAsync(TestCluster.Patience * 3);

        if (rows is { } expected)
        {
            Assert.Equal(expected.ToString((IFormatProvider?)null),
                await leader.SqlAsync("SELECT count(*) FROM written"));
        }
        // The restored cluster knows its past: a timeline that was left, and where.
        await cluster.UntilAsync(
            async () => (await cluster.Keys.GetAsync("history"))?.Json.AsArray() is { Count: > 0 } history
                && (int)history[0]![0]! == 1,
            "the history of the restored timeline is written");
        var archive = repository.Archive();
        await cluster.UntilAsync(
            async () => (await repository.RunAsync(leader, "repo-ls", archive)).Contains(".history",
                StringComparison.Ordinal),
            "the history of the timeline is in the repository");
        foreach (var standby in cluster.ReplicasOf(leader))
        {
            await cluster.UntilAsync(
                async () => await standby.SqlAsync("SELECT count(*) FROM written")
                    == await leader.SqlAsync("SELECT count(*) FROM written"),
                $"{standby.Name} has what the leader has");
        }
    }

    /// <summary>A segment is missing between the backup and the moment: the agent says so, and the data stay.</summary>
    private static async Task FailAcrossGapAsync(BackupRepository repository, string moment)
    {
        using var gap = repository.LoseWal();
        await using var cluster = await TestCluster.PrepareAsync(
            OptionsOf(repository, $"--type=time \"--target={moment}\"", nodes: 1));
        var node = cluster.Nodes[0];

        node.Start();
        var code = await node.WaitForAgentExitAsync(TestCluster.Patience);

        Assert.Equal(1, code);
        Assert.True(
            node.CountInLog("recovery ended before configured recovery target was reached")
                + node.CountInLog("could not locate required checkpoint record") > 0,
            node.LogTail());
        Assert.True(File.Exists(Path.Combine(node.DataDirectory + ".failed", "PG_VERSION")));
    }

    private static TestClusterOptions OptionsOf(BackupRepository repository, string target, int nodes) => new()
    {
        Nodes = nodes,
        Configure = (node, config) =>
        {
            repository.Configure(node, config);
            BackupRepository.BootstrapFrom(node, config, target);
        },
    };
}
