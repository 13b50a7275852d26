using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>
/// A file as users write it: strings for switches, a <c>postgresql</c> section beside <c>dcs</c>, SQL after the
/// bootstrap.
/// </summary>
public sealed class UserConfigurationTests
{
    [Fact]
    public async Task A_file_in_the_shape_of_our_first_users_makes_a_cluster()
    {
        await using var cluster = await TestCluster.PrepareAsync(new() { Nodes = 1 });
        var node = cluster.Nodes[0];
        node.WriteConfig(Yaml(cluster, node, watchdog: "off"));

        node.Start();
        await cluster.HealthyAsync();

        var config = await node.DocumentAsync("/config");
        Assert.Equal("160", config["postgresql"]!["parameters"]!["max_connections"]!.ToString());
        Assert.True(config["postgresql"]!["use_pg_rewind"]!.GetValue<bool>());
        Assert.Equal("quorum", config["synchronous_mode"]!.ToString());
        Assert.Equal("160", await node.SqlAsync("SHOW max_connections"));
        Assert.Equal("on", await node.SqlAsync("SHOW data_checksums"));
        Assert.Equal("UTF8", await node.SqlAsync("SHOW server_encoding"));
        Assert.Equal("3", await node.SqlAsync(
            "SELECT count(*) FROM pg_roles WHERE rolname IN ('reporting', 'repl', 'rewind_user')"));
        Assert.NotNull(await cluster.Keys.GetAsync("failsafe"));
        Assert.Contains("This member", await File.ReadAllTextAsync(
            Path.Combine(node.DirectoryPath, "log", "patroni.log"), TestContext.Current.CancellationToken),
            StringComparison.Ordinal);
        // Changes need the password of the file; reading does not.
        Assert.Equal(
            401,
            (await node.SendAsync("PATCH", "/config",
                new System.Text.Json.Nodes.JsonObject { ["loop_wait"] = 2 })).Code);
        Assert.Equal(200, await node.StatusAsync("/config"));
    }

    [Fact]
    public async Task A_member_whose_required_watchdog_is_missing_never_leads_and_says_why()
    {
        await using var cluster = await TestCluster.PrepareAsync(new() { Nodes = 1 });
        var node = cluster.Nodes[0];
        node.WriteConfig(Yaml(cluster, node, watchdog: "required"));

        node.Start();
        await cluster.UntilAsync(
            async () => (await node.GetAsync("/patroni"))?["watchdog_failed"]?.GetValue<bool>() == true,
            "the REST tells it");
        var log = Path.Combine(node.DirectoryPath, "log", "patroni.log");
        await cluster.UntilAsync(
            () => File.Exists(log) && File.ReadAllText(log)
                .Contains("does not make a new cluster", StringComparison.Ordinal), "the log tells it");

        Assert.Null(await cluster.Keys.GetAsync("leader"));
        Assert.Null(await cluster.Keys.GetAsync("initialize"));
        Assert.Null(node.PostmasterPid);
        Assert.Contains(Path.Combine(node.DirectoryPath, "no-watchdog"),
            await File.ReadAllTextAsync(log, TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    private static string Yaml(TestCluster cluster, TestNode node, string watchdog) => $"""
        scope: {cluster.Scope}
        name: {node.Name}
        log:
          dir: {node.DirectoryPath}/log
          level: INFO
          traceback_level: ERROR
          max_queue_size: 1000
          file_num: 10
        restapi:
          listen: 127.0.0.1:{node.RestPort}
          connect_address: 127.0.0.1:{node.RestPort}
          authentication:
            username: admin
            password: secret
        etcd3:
          hosts: {cluster.Etcd.Endpoint.Host}:{cluster.Etcd.Endpoint.Port}
          protocol: http
        bootstrap:
          dcs:
            ttl: 20
            loop_wait: 5
            retry_timeout: 5
            maximum_lag_on_failover: 1048576
            failsafe_mode: 'on'
            synchronous_mode: quorum
          postgresql:
            use_pg_rewind: true
            remove_data_directory_on_diverged_timelines: true
            remove_data_directory_on_rewind_failure: true
            use_slots: true
            use_unix_socket: true
            parameters:
              max_connections: '160'
          initdb:
            - encoding: UTF8
            - data-checksums
            - auth-host: scram-sha-256
            - locale: "C.UTF-8"
            - locale-provider: "libc"
          pg_hba:
            - local all all trust
            - host all all 127.0.0.1/32 trust
            - host replication repl 0.0.0.0/0 scram-sha-256
            - host all all 0.0.0.0/0 scram-sha-256
        post_bootstrap:
          - type: sql
            command: |
              CREATE USER postgres WITH PASSWORD 'super' SUPERUSER;
              CREATE USER repl WITH PASSWORD 'change-me' REPLICATION;
              CREATE USER rewind_user WITH PASSWORD 'change-me';
              CREATE USER reporting WITH PASSWORD 'change-me';
              GRANT pg_monitor TO reporting;
        postgresql:
          listen: 127.0.0.1:{node.Port}
          connect_address: 127.0.0.1:{node.Port}
          data_dir: {node.DataDirectory}
          config_dir: {node.DataDirectory}
          bin_dir: /usr/lib/postgresql/15/bin
          pgpass: {node.DirectoryPath}/pgpass
          authentication:
            replication:
              username: repl
              password: change-me
            superuser:
              username: postgres
              password: super
            rewind:
              username: rewind_user
              password: change-me
          parameters:
            unix_socket_directories: '{node.DirectoryPath}'
          create_replica_methods:
            - basebackup
          basebackup:
            checkpoint: 'fast'
        watchdog:
          mode: {(watchdog == "off" ? "'off'" : watchdog)}
          device: {node.DirectoryPath}/no-watchdog
          safety_margin: 4
        tags:
          nofailover: false
          failover_priority: 1
          noloadbalance: false
          clonefrom: true
          nosync: false
        """;
}
