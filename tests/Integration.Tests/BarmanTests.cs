using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>A cluster's backup by barman, and a new cluster from it, by the hooks that any tool may use.</summary>
public sealed class BarmanTests
{
    private const string Barman = "/usr/bin/barman";
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(3);

    [Fact]
    public async Task A_new_cluster_comes_from_a_backup_of_barman_with_the_rows_of_a_moment()
    {
        Assert.SkipUnless(
            Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") == "1" && File.Exists(Barman),
            "only with ROUTING_TEST_FULL=1, where barman is installed");
        using var directory = new TempDirectory("barman");
        OrdinaryProcess.GiveAway(directory.Path);
        var (config, incoming) = (directory["barman.conf"], directory["home/pay/incoming"]);
        string rows, moment;
        await using (var cluster = await TestCluster.StartAsync(new()
        {
            Nodes = 1,
            Configure = (_, settings) =>
            {
                var parameters = settings["postgresql"]!["parameters"]!.AsObject();
                parameters["archive_mode"] = "on";
                parameters["archive_command"] = $"mkdir -p {incoming} && cp %p {incoming}/%f";
            },
        }))
        {
            var leader = await cluster.LeaderAsync();
            var connection = $"host=127.0.0.1 port={leader.Port} user=postgres password=super dbname=postgres";
            await File.WriteAllTextAsync(config, $"""
                [barman]
                barman_user = {(Environment.IsPrivilegedProcess ? "postgres" : Environment.UserName)}
                barman_home = {directory["home"]}
                barman_lock_directory = {directory.Path}
                log_file = {directory["barman.log"]}
                log_level = INFO

                [pay]
                description = pay
                conninfo = {connection}
                streaming_conninfo = {connection}
                backup_method = postgres
                archiver = on
                path_prefix = {Path.GetDirectoryName(PostgresClient.PathOf("psql"))}

                """, TestContext.Current.CancellationToken);
            await leader.SqlAsync("CREATE TABLE kept AS SELECT generate_series(1, 100) AS n");
            await BarmanAsync("cron");
            await BarmanAsync("switch-wal", "--force", "--archive", "pay");   // it makes no backup before some WAL came
            await BarmanAsync("backup", "pay");
            await leader.SqlAsync("INSERT INTO kept SELECT generate_series(101, 150)");
            rows = (await leader.SqlAsync("SELECT count(*) FROM kept"))!;
            moment = (await leader.SqlAsync("SELECT clock_timestamp()::text"))!;
            await leader.SqlAsync("DELETE FROM kept");
            await BackupRepository.ArchiveAsync(leader);
            await BarmanAsync("archive-wal", "pay");
        }

        await using var restored = await TestCluster.PrepareAsync(new()
        {
            Nodes = 1,
            Configure = (node, settings) =>
            {
                var bootstrap = settings["bootstrap"]!.AsObject();
                bootstrap["method"] = "barman";
                bootstrap["barman"] = new JsonObject
                {
                    ["command"] = $"{Barman} -c {config} recover --target-time \"{moment}\" --target-action promote "
                        + $"pay latest {node.DataDirectory}",
                    ["keep_existing_recovery_conf"] = true,
                    ["no_params"] = true,
                };
            },
        });
        restored.StartMissing();
        Assert.Equal(rows, await (await restored.LeaderAsync()).SqlAsync("SELECT count(*) FROM kept"));

        async Task BarmanAsync(params string[] arguments)
        {
            var log = directory[$"{arguments[0]}.log"];
            using var run = OrdinaryProcess.Start(log, directory.Path, [Barman, "-c", config, .. arguments]);
            var code = await run.WaitForExitAsync(s_limit);
            Assert.True(code == 0, await File.ReadAllTextAsync(log, CancellationToken.None));
        }
    }
}
