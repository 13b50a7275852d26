using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>A repository on a host of its own, which the nodes reach by pgBackRest's TLS server.</summary>
public sealed class RepositoryHostTests
{
    private const string Host = "localhost";   // pgBackRest compares the certificate with a name, not an address
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task Archive_replica_and_new_cluster_go_over_its_tls_server()
    {
        Assert.SkipUnless(
            Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") == "1", "only with ROUTING_TEST_FULL=1");
        using var repository = new BackupRepository();
        using var certificates = new CertificateFiles();
        using var directory = new TempDirectory("backup-host");
        OrdinaryProcess.GiveAway(directory.Path);
        var (port, pem) = (FreePorts.Take(), certificates.FileFor(Host));
        var ofHost = directory["host.conf"];
        repository.Reach(Reached("repo1", port, ofHost, pem, certificates.Authority));
        var options = new TestClusterOptions { Nodes = 2, Configure = repository.Configure };
        await using var cluster = await TestCluster.PrepareAsync(options);
        var (first, second) = (cluster.Nodes[0], cluster.Nodes[1]);
        await File.WriteAllTextAsync(ofHost, $"""
            [global]
            repo1-path={repository.Folder}
            repo1-retention-full=2
            lock-path={directory["lock"]}
            log-level-console=info
            log-level-file=off
            start-fast=y
            tls-server-address=127.0.0.1
            tls-server-port={port}
            tls-server-cert-file={pem}
            tls-server-key-file={pem}
            tls-server-ca-file={certificates.Authority}
            tls-server-auth={Host}={BackupRepository.Stanza}

            [{BackupRepository.Stanza}]
            pg1-path={first.DataDirectory}
            pg1-port={first.Port}
            pg1-socket-path={first.DirectoryPath}
            pg1-user=postgres
            {string.Join('\n', Reached("pg1", port, BackupRepository.ConfigOf(first), pem, certificates.Authority)
                .Select(option => $"{option.Key}={option.Value}"))}

            """, TestContext.Current.CancellationToken);
        using var server = OrdinaryProcess.Start(
            directory["server.log"], directory.Path, ["pgbackrest", $"--config={ofHost}", "server"]);
        try
        {
            first.Start();
            await cluster.LeaderAsync();
            await OnHostAsync("stanza-create");
            await using (var load = await Writer.StartAsync(cluster, Writer.LongPatience))
            {
                await OnHostAsync("--type=full", "backup");
                await load.MoreAsync(20);
            }
            await BackupRepository.ArchiveAsync(first);

            second.Start();
            await cluster.HealthyAsync();
            Assert.Equal(1, second.CountInLog("created a replica by pgbackrest"));
            var told = await first.DocumentAsync("/backup");
            Assert.Equal(
                (null, null, null),
                ((string?)told["problem"], (string?)told["wal_problem"], (string?)told["missing_wal"]));
            // pgBackRest makes a backup where the repository is, and nowhere else.
            var (code, text) = await repository.TryRunAsync(first, "backup");
            Assert.True(code != 0 && text.Contains("must be run on the repository host", StringComparison.Ordinal),
                text);
            var rows = await first.SqlAsync("SELECT count(*) FROM written");
            var lsn = (await first.SqlAsync("SELECT pg_current_wal_lsn()::text"))!;
            await first.SqlAsync("DELETE FROM written");
            await BackupRepository.ArchiveAsync(first);

            await using var restored = await TestCluster.PrepareAsync(new()
            {
                Nodes = 1,
                Configure = (node, config) =>
                {
                    repository.Configure(node, config);
                    BackupRepository.BootstrapFrom(node, config, $"--type=lsn --target={lsn}");
                },
            });
            restored.StartMissing();
            Assert.Equal(rows, await (await restored.LeaderAsync()).SqlAsync("SELECT count(*) FROM written"));
        }
        finally
        {
            await server.KillAsync(s_limit);
        }

        async Task OnHostAsync(params string[] arguments)
        {
            var (code, output) = await repository.TryRunAsync(ofHost, arguments);
            Assert.True(
                code == 0, $"{output}\n{await File.ReadAllTextAsync(directory["server.log"], CancellationToken.None)}");
        }
    }

    /// <summary>The options that lead to a host: <c>repo1-host</c> and the like.</summary>
    private static (string Key, string Value)[] Reached(
        string what, int port, string config, string pem, string authority) =>
    [
        ($"{what}-host", Host), ($"{what}-host-type", "tls"), ($"{what}-host-port", $"{port}"),
        ($"{what}-host-config", config), ($"{what}-host-cert-file", pem), ($"{what}-host-key-file", pem),
        ($"{what}-host-ca-file", authority),
    ];
}
