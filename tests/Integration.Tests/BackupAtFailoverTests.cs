using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>What becomes of a backup whose leader is lost, and a backup that a standby makes.</summary>
public sealed class BackupAtFailoverTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(3);

    [Fact]
    public async Task A_backup_ends_with_its_leader_and_the_next_one_is_made_where_the_leader_is_then()
    {
        Assert.SkipUnless(
            Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") == "1", "only with ROUTING_TEST_FULL=1");
        using var repository = new BackupRepository();
        using var directory = new TempDirectory("backup");
        OrdinaryProcess.GiveAway(directory.Path);
        await using var cluster = await TestCluster.StartAsync(new() { Nodes = 2, Configure = repository.Configure });
        var leader = await cluster.HealthyAsync();
        var standby = cluster.ReplicasOf(leader)[0];
        await using var load = await Writer.StartAsync(cluster, Writer.LongPatience);
        await repository.BeginAsync(leader);
        await load.MoreAsync(20);

        // pgBackRest stands still between the begin of the backup and its first file, while the leader is lost.
        var log = directory["backup.log"];
        using var backup = OrdinaryProcess.Start(log, directory.Path,
            ["pgbackrest", $"--config={BackupRepository.ConfigOf(leader)}", $"--stanza={BackupRepository.Stanza}",
                "--type=full", "backup"]);
        await cluster.UntilAsync(
            async () =>
            {
                var text = await File.ReadAllTextAsync(log, TestContext.Current.CancellationToken);
                Assert.False(backup.HasExited, text);
                return text.Contains("backup start archive", StringComparison.Ordinal);
            },
            "the backup has begun");
        backup.Send(ProcessSignal.Stop);
        await leader.KillAsync();
        await cluster.LeaderAsync(not: leader);
        backup.Send(ProcessSignal.Continue);
        var code = await backup.WaitForExitAsync(s_limit);

        var said = await File.ReadAllTextAsync(log, TestContext.Current.CancellationToken);
        TestContext.Current.TestOutputHelper?.WriteLine(said);
        Assert.True(code != 0, said);
        Assert.Single(repository.Backups());
        await load.MoreAsync(20);

        // The new leader archives on, and makes the next one; nothing has to be cleaned up first.
        await BackupRepository.ArchiveAsync(standby);
        var next = await repository.RunAsync(standby, "--type=full", "backup");
        TestContext.Current.TestOutputHelper?.WriteLine(next);
        Assert.Equal(2, repository.Backups().Count);
        leader.Start();
        Assert.Equal(standby, await cluster.HealthyAsync());
        Assert.Null((string?)(await standby.DocumentAsync("/backup"))["missing_wal"]);

        // The standby's files, by a command on the leader that reaches both.
        await File.AppendAllTextAsync(
            BackupRepository.ConfigOf(standby),
            $"""

            pg2-path={leader.DataDirectory}
            pg2-port={leader.Port}
            pg2-socket-path={leader.DirectoryPath}
            pg2-user=postgres

            """,
            TestContext.Current.CancellationToken);
        var spared = await repository.RunAsync(standby, "--type=incr", "--backup-standby", "backup");
        TestContext.Current.TestOutputHelper?.WriteLine(spared);
        Assert.Contains("wait for replay on the standby", spared, StringComparison.Ordinal);
        Assert.Equal(3, repository.Backups().Count);
    }
}
