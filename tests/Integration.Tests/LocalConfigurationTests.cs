using System.Globalization;
using System.Runtime.Versioning;
using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Where the configuration of a node comes from, besides a file that somebody wrote.</summary>
[SupportedOSPlatform("linux")]
public sealed class LocalConfigurationTests : IAsyncLifetime
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);
    private TestCluster _cluster = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _cluster = await TestCluster.PrepareAsync(new() { Nodes = 2 });

    public async ValueTask DisposeAsync() => await _cluster.DisposeAsync();

    [Fact]
    public async Task A_running_server_is_taken_over_by_the_configuration_that_was_generated_from_it()
    {
        var node = _cluster.Nodes[0];
        var port = node.Port.ToString(CultureInfo.InvariantCulture);
        var password = Path.Combine(node.DirectoryPath, "password");
        await File.WriteAllTextAsync(password, "super\n", Cancellation);
        OrdinaryProcess.GiveAway(password);
        await DoneAsync(node, PostgresClient.PathOf("initdb"), "-D", node.DataDirectory, "-U", "postgres", "-k", "-N",
            "--auth=scram-sha-256", $"--pwfile={password}");
        await File.AppendAllTextAsync(Path.Combine(node.DataDirectory, "postgresql.conf"), $"""
            port = {port}
            unix_socket_directories = '{node.DirectoryPath}'
            cluster_name = 'legacy'
            max_connections = 77
            work_mem = '9MB'
            archive_command = 'true'

            """, Cancellation);
        await DoneAsync(node, PostgresClient.PathOf("pg_ctl"), "-D", node.DataDirectory, "-w", "start");
        await node.SqlAsync("CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'repl'");
        await node.SqlAsync("CREATE TABLE kept AS SELECT 1 AS id");

        var file = Path.Combine(node.DirectoryPath, "generated.yml");
        string[] variables = Variables(node, ("RESTAPI_PASSWORD", "secret"), ("RESTAPI_USERNAME", "admin"),
            ("REPLICATION_USERNAME", "replicator"), ("REPLICATION_PASSWORD", "repl"));
        await DoneAsync(node, ["env", .. variables, Programs.Agent, "--generate-config", "--dsn",
            $"postgresql://postgres:super@127.0.0.1:{port}/postgres?sslmode=disable", file]);
        var yaml = await File.ReadAllTextAsync(file, Cancellation);
        File.Copy(file, node.ConfigFile, overwrite: true);
        node.Start();
        await _cluster.UntilAsync(async () => await node.StatusAsync("/primary") == 200, "the agent leads with it");
        var config = await node.DocumentAsync("/config");

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        foreach (var line in (string[])
            ["scope: legacy", "  data_dir: " + node.DataDirectory, "  bin_dir: " + PostgresUnderTest.Folder,
             "    archive_command: 'true'", $"    unix_socket_directories: {node.DirectoryPath}",
             "  - local   all             all                                     scram-sha-256"])
        {
            Assert.Contains(line + "\n", yaml, StringComparison.Ordinal);
        }
        Assert.DoesNotContain("FIXME", yaml, StringComparison.Ordinal);
        var parameters = config["postgresql"]!["parameters"]!;
        Assert.Equal(("77", "9MB", null),
            (parameters["max_connections"]!.ToString(), parameters["work_mem"]!.ToString(), parameters["port"]));
        Assert.True((bool)config["postgresql"]!["use_pg_rewind"]!);
        Assert.Equal("77", await node.SqlAsync("SHOW max_connections"));
        Assert.Equal("1", await node.SqlAsync("SELECT id FROM kept"));
    }

    [Fact]
    public async Task Variables_alone_run_a_member_with_its_secrets_in_files()
    {
        var (first, node) = (_cluster.Nodes[0], _cluster.Nodes[1]);
        first.Config["postgresql"]!["pg_hba"] = new JsonArray(
            "local all all trust", "host all all 127.0.0.1/32 scram-sha-256",
            "host replication all 127.0.0.1/32 scram-sha-256");
        first.WriteConfig();
        first.Start();
        var credentials = Directory.CreateDirectory(Path.Combine(node.DirectoryPath, "credentials")).FullName;
        var file = Path.Combine(node.DirectoryPath, "superuser");
        await File.WriteAllTextAsync(file, "super\n", Cancellation);
        await File.WriteAllTextAsync(
            Path.Combine(credentials, "PATRONI_REPLICATION_PASSWORD"), "repl\n", Cancellation);

        using var agent = OrdinaryProcess.Start(node.LogFile, node.DirectoryPath,
            ["env", $"CREDENTIALS_DIRECTORY={credentials}", .. Variables(node,
                ("SCOPE", _cluster.Scope), ("SUPERUSER_USERNAME", "postgres"), ("SUPERUSER_PASSWORD_FILE", file),
                ("REPLICATION_USERNAME", "replicator"), ("POSTGRESQL_DATA_DIR", node.DataDirectory),
                ("POSTGRESQL_LISTEN", $"127.0.0.1:{node.Port}"),
                ("POSTGRESQL_CONNECT_ADDRESS", $"127.0.0.1:{node.Port}"),
                ("POSTGRESQL_PGPASS", Path.Combine(node.DirectoryPath, "pgpass")),
                ("POSTGRESQL_BIN_DIR", PostgresUnderTest.Folder)), Programs.Agent]);
        await _cluster.UntilAsync(async () => await node.StatusAsync("/replica") == 200, "it is a replica",
            TestCluster.Patience * 2);
        await _cluster.UntilAsync(
            async () => await first.SqlAsync("SELECT count(*) FROM pg_stat_replication WHERE application_name = 'n2'")
                == "1",
            "it streams with the password of its credential");
        var answered = await node.SqlAsync("SHOW port");

        Assert.Equal(node.Port.ToString(CultureInfo.InvariantCulture), answered);
        agent.Send(ProcessSignal.Terminate);
        Assert.Equal(0, await agent.WaitForExitAsync(s_limit));
    }

    private string[] Variables(TestNode node, params (string Name, string Value)[] more) =>
    [
        $"PATRONI_NAME={node.Name}",
        $"PATRONI_ETCD3_HOSTS={_cluster.Etcd.Endpoint.Host}:{_cluster.Etcd.Endpoint.Port}",
        $"PATRONI_RESTAPI_LISTEN=127.0.0.1:{node.RestPort}",
        $"PATRONI_RESTAPI_CONNECT_ADDRESS=127.0.0.1:{node.RestPort}",
        .. more.Select(variable => $"PATRONI_{variable.Name}={variable.Value}"),
    ];

    private static async Task DoneAsync(TestNode node, params string[] command)
    {
        var log = Path.Combine(node.DirectoryPath, $"{Guid.NewGuid():N}.log");
        using var process = OrdinaryProcess.Start(log, node.DirectoryPath, command);
        var code = await process.WaitForExitAsync(s_limit);
        Assert.True(code == 0, $"{command[0]}: exit code {code}: {await File.ReadAllTextAsync(log, Cancellation)}");
    }
}
