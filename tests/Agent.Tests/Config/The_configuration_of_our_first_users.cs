using Routing.Agent.Config;
using Routing.Cluster;
using Routing.Cluster.Keys;

namespace Routing.Agent.Tests.Config;

/// <summary>
/// The shape of a three-node cluster's file as people show it to each other, with every peculiarity of it.
/// </summary>
public class The_configuration_of_our_first_users
{
    private const string Node = """
        scope: orders_cluster
        name: orders1
        log:
          dir: /tmp/routing-log
          level: INFO
          traceback_level: ERROR
          max_queue_size: 500
          file_num: 7
        restapi:
          listen: 0.0.0.0:8008
          connect_address: orders1.example.org:8008
          authentication:
            username: keeper
            password: abc
        etcd3:
          hosts: orders1.example.org:2379,orders2.example.org:2379,orders3.example.org:2379
          protocol: http
        bootstrap:
          dcs:
            ttl: 20
            loop_wait: 5
            retry_timeout: 5
            maximum_lag_on_failover: 2097152
            failsafe_mode: 'on'
            synchronous_mode: quorum
          postgresql:
            use_pg_rewind: true
            remove_data_directory_on_diverged_timelines: true
            remove_data_directory_on_rewind_failure: true
            use_slots: true
            use_unix_socket: true
            parameters:
              max_connections: '170'
          initdb:
            - encoding: UTF8
            - data-checksums
            - auth-host: scram-sha-256
            - locale: "de_AT.UTF-8"
            - locale-provider: "libc"
          pg_hba:
            - local all all trust
            - host replication copier 0.0.0.0/0 scram-sha-256
        post_bootstrap:
          - type: sql
            command: |
              CREATE USER postgres WITH PASSWORD 'abc' SUPERUSER;
              CREATE USER copier WITH PASSWORD 'def' REPLICATION;
          - type: sql
            command: CREATE USER winder WITH PASSWORD 'ghi'
        postgresql:
          listen: 0.0.0.0:5432
          connect_address: orders1.example.org:5432
          data_dir: /tmp/routing-orders
          config_dir: /tmp/routing-orders
          bin_dir: /usr/lib/postgresql/17/bin
          authentication:
            replication:
              username: copier
              password: def
            superuser:
              username: postgres
              password: abc
            rewind:
              username: winder
              password: ghi
          parameters:
            unix_socket_directories: '/tmp'
          create_replica_methods:
            - basebackup
          basebackup:
            checkpoint: 'fast'
        watchdog:
          mode: required
          device: /dev/watchdog
          safety_margin: 4
        tags:
          nofailover: false
          failover_priority: 1
          noloadbalance: false
          clonefrom: true
          nosync: false
        """;

    private readonly AgentSettingsResult _result = Yaml.LoadAlone(Node);

    private AgentSettings Settings => _result.Settings!;

    private DynamicConfig Initial => DynamicConfigReader.Read(Settings.Bootstrap!.Dcs, 0);

    [Fact]
    public void It_is_read_without_an_error_or_a_warning()
    {
        Assert.Equal([], _result.Errors.Select(error => error.ToString()));
        Assert.Equal([], _result.Warnings.Select(warning => warning.ToString()));
    }

    [Fact]
    public void Timing_and_modes_come_out_typed_also_from_strings()
    {
        Assert.Equal(TimeSpan.FromSeconds(20), Initial.Timing.Ttl);
        Assert.True(Initial.FailsafeMode);
        Assert.Equal(SynchronousMode.Quorum, Initial.SynchronousMode);
        Assert.Equal(2_097_152, Initial.MaximumLagOnFailoverBytes);
        Assert.Empty(Initial.Problems);
    }

    [Fact]
    public void PostgreSQL_settings_beside_the_dcs_section_are_part_of_the_dynamic_configuration()
    {
        var config = EffectivePostgresConfig.Combine(Settings, Initial, Role.Primary, 17);

        Assert.Equal("170", config.Parameters["max_connections"]);
        Assert.True(config is
        {
            UseRewind: true, UseUnixSocket: true, UseSlots: true,
            RemoveDataDirectoryOnDivergedTimelines: true, RemoveDataDirectoryOnRewindFailure: true,
        });
        Assert.Empty(config.Problems);
    }

    [Fact]
    public void The_options_of_initdb_are_flags_and_values() => Assert.Equal(
        ["--encoding=UTF8", "--data-checksums", "--auth-host=scram-sha-256", "--locale=de_AT.UTF-8",
            "--locale-provider=libc"],
        Settings.Bootstrap!.InitDb.Select(option => option.ToString()));

    [Fact]
    public void The_statements_after_bootstrap_are_kept_in_order()
    {
        Assert.Collection(
            Settings.Bootstrap!.PostBootstrapSql,
            first => Assert.Equal(
                "CREATE USER postgres WITH PASSWORD 'abc' SUPERUSER;\nCREATE USER copier WITH PASSWORD 'def' "
                    + "REPLICATION;\n", first),
            second => Assert.Equal("CREATE USER winder WITH PASSWORD 'ghi'", second));
        Assert.Null(Settings.Bootstrap!.PostBootstrapCommand);
    }

    [Fact]
    public void A_map_of_basebackup_options_is_understood()
    {
        var config = EffectivePostgresConfig.Combine(Settings, Initial, Role.Replica, 17);

        Assert.Equal(["--checkpoint=fast"], config.BaseBackup.Select(option => option.ToString()));
        Assert.Equal(["basebackup"], config.CreateReplicaMethods);
        Assert.Equal("/tmp", config.Parameters["unix_socket_directories"]);
    }

    [Fact]
    public void The_local_sections_are_all_there()
    {
        Assert.Equal(("orders_cluster", "orders1", "/service"), (Settings.Scope, Settings.Name, Settings.Namespace));
        Assert.Equal(3, Settings.Etcd.Endpoints.Count);
        Assert.Equal("http://orders1.example.org:8008/patroni", Settings.Rest.ApiUrl);
        Assert.Equal(new BasicCredentials("keeper", "abc"), Settings.Rest.Authentication);
        Assert.Equal(Settings.Rest.Authentication, Settings.Ctl.Authentication);
        Assert.Equal(("/tmp/routing-log", 500, 7),
            (Settings.Log.Directory, Settings.Log.MaximumQueueLength, Settings.Log.FileCount));
        Assert.Equal(
            ("copier", "postgres", "winder"),
            (Settings.Postgres.Authentication.Replication.Username, Settings.Postgres.Authentication.Superuser.Username,
                Settings.Postgres.Authentication.Rewind!.Username));
        Assert.Equal(Settings.Postgres.DataDirectory, Settings.Postgres.ConfigDirectory);
        Assert.Equal(
            new WatchdogSettings { Mode = WatchdogMode.Required, Device = "/dev/watchdog",
                SafetyMargin = TimeSpan.FromSeconds(4) },
            Settings.Watchdog);
        Assert.True(new MemberTags(Settings.Tags) is { CloneFrom: true, NoFailover: false, FailoverPriority: 1 });
    }
}
