using Routing.Agent.Config;
using Routing.Cluster;
using Routing.Cluster.Keys;

namespace Routing.Agent.Tests.Config;

/// <summary>
/// Whole files in the shapes that the well-known packages, roles and images make, and the slips of those who write them
/// by hand.
/// </summary>
public sealed class Files_as_people_write_them
{
    private const string Authentication =
        "authentication: {superuser: {username: postgres, password: s}, replication: {username: r, password: r}}";

    /// <summary>Each is a file that Patroni runs; none has an error here.</summary>
    public static TheoryData<string, string> Templates => new()
    {
        {
            "Debian's pg_createconfig_patroni",
            $$"""
            scope: "15-main"
            namespace: "/postgresql-common/"
            name: db1
            etcd3:
              host: 10.0.0.1:2379
            restapi:
              listen: 10.0.0.5:8008
              connect_address: 10.0.0.5:8008
            bootstrap:
              method: pg_createcluster
              pg_createcluster:
                command: /usr/share/patroni/pg_createcluster_patroni
              dcs:
                ttl: 30
                loop_wait: 10
                retry_timeout: 10
                maximum_lag_on_failover: 1048576
                check_timeline: true
                postgresql:
                  use_pg_rewind: true
                  remove_data_directory_on_rewind_failure: true
                  remove_data_directory_on_diverged_timelines: true
                  use_slots: true
                  parameters: {wal_level: hot_standby, hot_standby: "on", max_wal_senders: 5}
                  pg_hba:
                  - local   all   all   peer
                  - host    all   all   127.0.0.1/32   md5
              initdb:
              - encoding: UTF8
              - data-checksums
            postgresql:
              create_replica_method:
                - pg_clonecluster
              pg_clonecluster:
                command: /usr/share/patroni/pg_clonecluster_patroni
              listen: "*:5432"
              connect_address: 10.0.0.5:5432
              use_unix_socket: true
              data_dir: /var/lib/postgresql/15/main
              bin_dir: /usr/lib/postgresql/15/bin
              config_dir: /etc/postgresql/15/main
              pgpass: /var/lib/postgresql/15-main.pgpass
              {{Authentication}}
              parameters:
                unix_socket_directories: /var/run/postgresql/
                logging_collector: 'off'
            tags: {nofailover: false, noloadbalance: false, clonefrom: false, nosync: false}
            """
        },
        {
            "Spilo's image",
            $$"""
            bootstrap:
              post_init: /scripts/post_init.sh "zalandos"
              dcs:
                ttl: 30
                loop_wait: &loop_wait 10
                retry_timeout: 10
                maximum_lag_on_failover: 33554432
                failsafe_mode: false
                postgresql:
                  use_pg_rewind: true
                  use_slots: true
                  parameters:
                    archive_mode: "on"
                    archive_timeout: 1800s
                    wal_level: hot_standby
                    wal_log_hints: 'on'
                    wal_compression: 'on'
                    max_wal_senders: 10
                    max_connections: 100
                    hot_standby: 'on'
                    tcp_keepalives_idle: 900
                    track_functions: all
                    checkpoint_completion_target: 0.9
                    autovacuum_vacuum_scale_factor: 0.05
              initdb:
              - encoding: UTF8
              - locale: en_US.utf-8
              - data-checksums
            scope: &scope 'demo'
            restapi:
              listen: ':::8008'
              connect_address: '10.2.3.4:8008'
            postgresql:
              pgpass: /run/postgresql/pgpass
              use_unix_socket: true
              use_unix_socket_repl: true
              name: 'demo-0'
              listen: '*:5432'
              connect_address: '10.2.3.4:5432'
              data_dir: /home/postgres/pgdata/pgroot/data
              parameters:
                archive_command: '/bin/true'
                bg_mon.listen_address: '::'
                extwlist.custom_path: /scripts
                log_destination: csvlog
                logging_collector: 'on'
                shared_preload_libraries: 'bg_mon,pg_stat_statements,pgextwlist'
                ssl: 'on'
                ssl_cert_file: /run/certs/server.crt
              pg_hba:
                - local   all             all                                   trust
                - hostssl all             +zalandos    127.0.0.1/32       pam
                - hostnossl all           all                all                reject
              pg_ident:
                - a b c
              authentication:
                superuser: {username: postgres, password: 'zalando'}
                replication: {username: standby, password: 'standby'}
              callbacks:
                on_role_change: /scripts/on_role_change.sh 'zalandos' true
              create_replica_method: [wal_e, basebackup_fast_xlog]
              wal_e:
                command: envdir /run/etc/wal-e.d/env bash /scripts/wale_restore.sh
                threshold_megabytes: 102400
                threshold_backup_size_percentage: 30
                retries: 2
                no_leader: 1
              basebackup_fast_xlog: {command: /scripts/basebackup.sh, retries: 2}
            log: {dir: /home/postgres/pgdata/pgroot/pg_log, file_num: 4, file_size: 20000000}
            etcd3: {hosts: ["10.0.0.1:2379", "10.0.0.2:2379"]}
            """
        },
        {
            "Autobase's role",
            $$"""
            ---
            scope: postgres-cluster
            name: pgnode01
            namespace: /service

            log:
              level: INFO
              traceback_level: ERROR
              format: '%(asctime)s %(levelname)s: %(message)s'
              dateformat: ''
              max_queue_size: 1000
              dir: /var/log/patroni
              file_num: 4
              file_size: 25000000
              loggers:
                patroni.postmaster: WARNING
                urllib3: WARNING

            restapi:
              listen: 0.0.0.0:8008
              connect_address: 10.128.64.140:8008
              authentication:
                  username: patroni
                  password: 1q2w3e

            etcd3:
              hosts: 10.128.64.140:2379,10.128.64.142:2379,10.128.64.143:2379

              protocol: https
              cacert: /etc/tls/ca.crt

            bootstrap:
              method: initdb
              dcs:
                ttl: 30
                loop_wait: 10
                retry_timeout: 10
                maximum_lag_on_failover: 1048576
                master_start_timeout: 300
                synchronous_mode: false
                synchronous_mode_strict: false
                synchronous_node_count: 1
                postgresql:
                  use_pg_rewind: true
                  use_slots: true
                  parameters:
                    max_connections: "1000"
                    superuser_reserved_connections: "5"
                    password_encryption: "scram-sha-256"
                    max_locks_per_transaction: "512"
                    track_io_timing: "on"
                    archive_command: "cd ."
                slots:
                  slot_1:
                    type: physical
                  slot_2:
                    type: logical
                    plugin: pgoutput
                    database: postgres

              initdb:  # List options to be passed on to initdb
                - encoding: UTF8
                - locale: en_US.UTF-8
                - data-checksums

              pg_hba:  # Add following lines to pg_hba.conf after running 'initdb'
                - host replication replicator 127.0.0.1/32 scram-sha-256

            postgresql:
              listen: 10.128.64.140,127.0.0.1:5432
              connect_address: 10.128.64.140:5432
              use_unix_socket: true
              data_dir: /pgdata/16/main
              bin_dir: /usr/lib/postgresql/16/bin
              config_dir: /etc/postgresql/16/main
              pgpass: /var/lib/postgresql/.pgpass_patroni
              {{Authentication}}
              parameters:
                unix_socket_directories: /var/run/postgresql
                stats_temp_directory: /var/lib/pgsql_stats_tmp

              remove_data_directory_on_rewind_failure: false
              remove_data_directory_on_diverged_timelines: false

              create_replica_methods:
                - pgbackrest
                - basebackup
              pgbackrest:
                command: /usr/bin/pgbackrest --stanza=postgres-cluster --delta restore
                keep_data: True
                no_params: True
              basebackup:
                max-rate: '1000M'
                checkpoint: 'fast'

              recovery_conf:
                restore_command: pgbackrest --stanza=postgres-cluster archive-get %f %p

            watchdog:
              mode: automatic  # Allowed values: off, automatic, required
              device: /dev/watchdog  # Path to the watchdog device
              safety_margin: 5

            tags:
              datacenter: dc1
              nosync: false
              noloadbalance: false
              nofailover: false
              clonefrom: false

              # specify a node to replicate from (cascading replication)
            #  replicatefrom: (node name)

            """
        },
        {
            "a page that starts with 'basebackup' as a null section and 'tags' as null",
            $$"""
            scope: cluster_1
            name: node1
            restapi: {listen: '0.0.0.0:8008', connect_address: 'node1:8008'}
            etcd3: {host: 'node1:2379'}
            bootstrap:
              dcs:
                ttl: 30
                loop_wait: 10
                retry_timeout: 10
                maximum_lag_on_failover: 1048576
                slots:
                    percona_cluster_1:
                      type: physical
                postgresql:
                  use_pg_rewind: true
                  parameters:
              initdb:
              - encoding: UTF8
              - data-checksums
              pg_hba:
              - host replication replicator 127.0.0.1/32 trust
              - host all all ::0/0 md5
              users:
                admin:
                  password: qaz123
                  options: [createrole, createdb]
            postgresql:
              cluster_name: cluster_1
              listen: 0.0.0.0:5432
              connect_address: node1:5432
              data_dir: /var/lib/postgresql/16/main
              pgpass: /tmp/pgpass
              {{Authentication}}
              parameters:
              create_replica_methods:
                - basebackup
              basebackup:
            watchdog:
              mode: required # Allowed values: off, automatic, required
            tags:
            """
        },
        {
            "TLS and certificates everywhere",
            $$"""
            scope: pay
            namespace: /db/
            name: pg-a
            restapi:
              listen: "[::]:8008"
              connect_address: pg-a.example.org:8008
              certfile: /etc/patroni/server.crt
              keyfile: /etc/patroni/server.key
              cafile: /etc/patroni/ca.crt
              verify_client: required
              allowlist: [10.0.0.0/8, pg-b.example.org, "::1"]
              allowlist_include_members: true
              http_extra_headers: {X-Frame-Options: SAMEORIGIN}
              https_extra_headers: {Strict-Transport-Security: "max-age=31536000; includeSubDomains"}
            ctl: {insecure: false, cacert: /etc/patroni/ca.crt, certfile: /etc/patroni/client.crt, keyfile: /etc/patroni/client.key}
            etcd3:
              protocol: https
              hosts:
                - etcd-1.example.org:2379
                - etcd-2.example.org:2379
              cacert: /etc/etcd/ca.crt
              cert: /etc/etcd/client.crt
              key: /etc/etcd/client.key
              username: root
              password: 'a:b@c/d#e%f'
            postgresql:
              listen: '0.0.0.0,::1:5432'
              connect_address: pg-a.example.org:5432
              proxy_address: pgbouncer.example.org:6432
              data_dir: /data/pg/
              authentication:
                superuser: {username: postgres, sslmode: verify-full, sslcert: /c, sslkey: /k, sslrootcert: /a}
                replication: {username: replicator, sslmode: verify-ca, sslrootcert: /a, gssencmode: disable, channel_binding: require}
                rewind: {username: rewinder, password: ' leading and trailing '}
              callbacks: {on_start: /bin/a b 'c d', on_stop: /bin/a, on_restart: /bin/a, on_reload: /bin/a, on_role_change: /bin/a}
            tags: {failover_priority: 2, sync_priority: 1, zone: a, rack: 4, replicatefrom: ''}
            """
        },
        {
            "the oldest shape: roles beside the section, the name inside it",
            """
            scope: batman
            loop_wait: 10
            ttl: 30
            restapi: {listen: 10.0.0.2:8008, connect_address: 10.0.0.2:8008}
            etcd: {host: 10.0.0.1:4001}
            postgresql:
              name: postgresql0
              listen: 10.0.0.2:5432
              connect_address: 10.0.0.2:5432
              data_dir: data/postgresql0
              maximum_lag_on_failover: 1048576 # 1 megabyte in bytes
              replication: {username: replicator, password: rep-pass, network: 10.0.0.0/8}
              superuser: {username: postgres, password: zalando}
              pg_rewind: {username: postgres, password: zalando}
              parameters: {archive_mode: "on", wal_level: hot_standby, wal_keep_segments: 8, archive_timeout: 1800s, hot_standby: "on"}
            """
        },
        {
            "everything that YAML allows",
            """
            %YAML 1.1
            # A comment
            ---
            scope: !!str 1234
            name: &me "n\u0031"
            x-users: &users
              superuser: &super {username: postgres, password: 'it''s'}
              replication: {<<: *super, username: replicator}
            restapi: {listen: "10.0.0.2:8008", connect_address: 10.0.0.2:8008,}
            etcd3: {hosts: [10.0.0.1:2379, "[fd00::1]:2379"]}
            postgresql:
              listen: >-
                10.0.0.2:5432
              connect_address: |-
                10.0.0.2:5432
              data_dir: "/tmp/\
                routing-nowhere"
              authentication: *users
              parameters: {work_mem: ~, shared_buffers: null, huge_pages: no, jit: OFF, random_page_cost: 1.10, log_file_mode: 0640,
                archive_timeout: 1_800, statement_timeout: 0x10, search_path: '"$user", public', log_line_prefix: '%m [%p] ',
                archive_command: "a\tb\nc", geqo: Yes}
            ...
            """
        },
    };

    [Theory]
    [MemberData(nameof(Templates))]
    public void A_file_that_Patroni_runs_has_no_error(string shape, string text)
    {
        foreach (var form in new[] { text, text.ReplaceLineEndings("\r\n"), "\uFEFF" + text })
        {
            var read = Yaml.LoadAlone(form);

            Assert.True(read.Errors.IsEmpty && read.BootstrapErrors.IsEmpty,
                $"{shape}: {string.Join('\n', read.Errors.Concat(read.BootstrapErrors))}");
            var settings = read.Settings!;
            Assert.True(settings.Postgres.ListenAddresses.Length > 0 && settings.Postgres.Port == 5432, shape);
            Assert.Equal((5432, 8008), (settings.Postgres.ConnectAddress.Port, settings.Rest.ConnectAddress.Port));
            Assert.NotEmpty(settings.Etcd.Endpoints);
            var config = EffectivePostgresConfig.Combine(
                settings, settings.Bootstrap is { } bootstrap
                    ? DynamicConfigReader.Read(bootstrap.Dcs, 0)
                    : DynamicConfig.Default, Role.Primary, 16);
            Assert.Empty(config.Problems);
        }
    }

    [Fact]
    public void Values_are_what_Patroni_reads()
    {
        var settings = Yaml.LoadAlone(Templates.Last().Data.Item2).Settings!;
        var parameters = settings.Postgres.Shared.Parameters!;

        Assert.Equal(("1234", "n1"), (settings.Scope, settings.Name));
        Assert.Equal(("it's", "replicator"), (settings.Postgres.Authentication.Replication.Password,
            settings.Postgres.Authentication.Replication.Username));
        Assert.False(parameters.ContainsKey("work_mem"));
        Assert.Equal(
            ["off", "off", "416", "1800", "16", "a\tb\nc", "on"],
            new[] { "huge_pages", "jit", "log_file_mode", "archive_timeout", "statement_timeout", "archive_command",
                "geqo" }.Select(name => parameters[name]));
    }

    /// <summary>Slips that make no configuration: the answer names the file, the line, and what to do.</summary>
    [Theory]
    [InlineData("a: 1\n\tb: 2\n", "(seen in line 2)")]
    [InlineData("a: 1\n b: 2\n", ":2: ")]
    [InlineData("name: {{ inventory_hostname }}\n",
        ":1: name a key must be a plain word (a text that begins with { needs quotes)")]
    [InlineData("{% if x %}\na: b\n{% endif %}\n", ":2: is no valid YAML")]
    [InlineData("a: 1\npostgresql:\n  listen: *:5432\n", ":3: postgresql.listen")]
    [InlineData("restapi: {listen: ${IP}:8008, x: y}\n", ":1: ")]
    [InlineData("a: 1\nscope: @x\n", ":2: ")]
    [InlineData("log: {format: %(asctime)s}\n", ":1: ")]
    [InlineData("a: 'unclosed\nb: 1\n", ":1: ")]
    [InlineData("a: [1, 2\nb: 1\n", ":1: is no valid YAML")]
    [InlineData("a: b: c\n", ":1: ")]
    [InlineData("a: !vault |\n  x\n", ":1: a")]
    [InlineData("a: !!binary aGFsbG8=\n", ":1: a")]
    [InlineData("scope: a\n---\nscope: b\n", ":2: a second document begins here")]
    [InlineData("- scope: a\n", "must be a mapping")]
    [InlineData("just a text\n", "must be a mapping")]
    [InlineData("# nothing\n", "is empty")]
    [InlineData("", "is empty")]
    public void A_text_that_is_no_configuration_is_named_with_its_line(string text, string where)
    {
        var read = Yaml.LoadAlone(text);

        var error = Assert.Single(read.Errors);
        Assert.Contains(where, error.ToReportLine(), StringComparison.Ordinal);
        Assert.Null(read.Settings);
    }

    /// <summary>As in Patroni, whose users have such files: each part may be whole, and the last one counts.</summary>
    [Theory]
    [InlineData("postgresql:\n  data_dir: /one\n  data_dir: /two\n", 3, "postgresql.data_dir", 2)]
    [InlineData("postgresql: {data_dir: /one}\npostgresql: {data_dir: /two}\n", 2, "postgresql", 1)]
    [InlineData("postgresql:\n  data_dir: /two\n  parameters: {a: 1}\n  parameters: {port: 1}\n", 4,
        "postgresql.parameters", 3)]
    [InlineData("tags: {nofailover: true,\n  nofailover: false}\npostgresql: {data_dir: /two}\n", 2,
        "tags.nofailover", 1)]
    [InlineData("postgresql:\n  data_dir: /two\n  authentication:\n    superuser: {password: one,\n"
        + "      password: two}\n", 5, "postgresql.authentication.superuser.password", 4)]
    public void Of_a_key_that_stands_twice_the_last_value_counts_and_a_warning_names_both(
        string text, int line, string path, int earlier)
    {
        var read = Yaml.Load(text);

        Assert.Empty(read.Errors);
        Assert.Equal("/two", read.Settings!.Postgres.DataDirectory);
        var warning = Assert.Single(read.Warnings, one => one.Message.Contains("twice", StringComparison.Ordinal));
        Assert.EndsWith(
            $"2.yml:{line}: {path} this key stands twice in the same mapping: what stands here counts, and what stands "
                + $"in line {earlier} has no effect",
            warning.ToReportLine(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_that_stands_twice_in_a_variable_is_told_with_the_variables_name()
    {
        var read = Yaml.Load("", ("PATRONI_LOG_LOGGERS", "{rest: INFO, rest: DEBUG}"));

        Assert.Empty(read.Errors);
        Assert.Contains(read.Warnings,
            one => one.ToString().StartsWith("PATRONI_LOG_LOGGERS:1: rest: this key stands twice",
                StringComparison.Ordinal));
    }

    /// <summary>
    /// One slip of the hand anywhere: a letter too many, too few or another. Whatever comes of it, the answer is no
    /// exception.
    /// </summary>
    [Fact]
    public void A_slip_anywhere_ends_in_an_answer()
    {
        const string letters = "\t\n :-[]{}&*!|>'\"%@`#,?~<\\\0\uFEFFx0";
        var random = new Random(12);
        foreach (var (shape, text) in Templates.Select(row => row.Data))
        {
            for (var count = 0; count < 300; count++)
            {
                var at = random.Next(text.Length);
                var letter = letters[random.Next(letters.Length)].ToString();
                var slip = random.Next(4) switch
                {
                    0 => text.Remove(at, 1),
                    1 => text.Insert(at, letter),
                    2 => text.Remove(at, 1).Insert(at, letter),
                    _ => text[..at],
                };

                var problem = Record.Exception(() => Yaml.LoadAlone(slip));

                Assert.True(problem is null,
                    $"{shape} at {at}: {problem}\n{slip[Math.Max(0, at - 40)..Math.Min(slip.Length, at + 40)]}");
            }
        }
    }

    [Theory]
    [InlineData("postgresql: {listen: '/var/run/postgresql:5432'}", "postgresql.listen")]
    [InlineData("postgresql: {listen: '127.0.0.1:5432,127.0.0.2:5432'}", "postgresql.listen")]
    [InlineData("postgresql: {listen: '127.0.0.1:\"5432\"'}", "postgresql.listen")]
    [InlineData("postgresql: {listen: 'http://127.0.0.1:5432'}", "postgresql.listen")]
    [InlineData("postgresql: {listen: ['127.0.0.1', '127.0.0.2']}", "postgresql.listen")]
    [InlineData("postgresql: {connect_address: '/var/run/postgresql:5432'}", "postgresql.connect_address")]
    [InlineData("postgresql: {connect_address: '10.0.0.1,10.0.0.2:5432'}", "postgresql.connect_address")]
    [InlineData("postgresql: {connect_address: '10.0.0.1 10.0.0.2:5432'}", "postgresql.connect_address")]
    [InlineData("postgresql: {connect_address: '{{ ansible_host }}:5432'}", "postgresql.connect_address")]
    [InlineData("postgresql: {connect_address: '${HOST}:5432'}", "postgresql.connect_address")]
    [InlineData("postgresql: {connect_address: '10.0.0.1:5432/postgres'}", "postgresql.connect_address")]
    [InlineData("postgresql: {proxy_address: 'user@host:5432'}", "postgresql.proxy_address")]
    [InlineData("restapi: {listen: ':8008'}", "restapi.listen")]
    [InlineData("restapi: {listen: '__MY_IP__:__PORT__'}", "restapi.listen")]
    [InlineData("etcd3: {hosts: '10.0.0.1:2379;10.0.0.2:2379'}", "etcd3.hosts")]
    [InlineData("etcd3: {hosts: '10.0.0.1:2379 10.0.0.2:2379'}", "etcd3.hosts")]
    [InlineData("etcd3: [10.0.0.1:2379]", "etcd3")]
    [InlineData("etcd3: 10.0.0.1:2379", "etcd3")]
    public void An_address_that_is_none_is_refused_by_its_setting(string over, string path) =>
        Assert.Contains(Yaml.Load(over).Errors, error => error.Path == path);

    [Theory]
    [InlineData("ETCD3_HOSTS", "'10.0.0.1:2379','10.0.0.2:2379'", 2)]
    [InlineData("ETCD3_HOSTS", "\"10.0.0.1:2379\"", 1)]
    [InlineData("ETCD3_HOSTS", "[\"10.0.0.1:2379\", '10.0.0.2:2379']", 2)]
    [InlineData("ETCD3_HOSTS", "- 10.0.0.1:2379\n- 10.0.0.2:2379\n", 2)]
    [InlineData("ETCD3_HOSTS", " 10.0.0.1:2379 , ,", 1)]
    [InlineData("ETCD3_HOSTS", "[fd00::1]:2379,10.0.0.1:2379", 2)]
    [InlineData("ETCD3_HOST", "[fd00::1]:2379", 1)]
    public void Hosts_in_a_variable_may_be_written_in_every_way(string name, string value, int count)
    {
        var environment = Routing.Settings.SettingsEnvironment.From(
            AgentSettingsReader.EnvironmentPrefix,
            [
                KeyValuePair.Create("PATRONI_" + name, value),
                KeyValuePair.Create("PATRONI_SCOPE", "s"), KeyValuePair.Create("PATRONI_NAME", "n"),
                KeyValuePair.Create("PATRONI_RESTAPI_LISTEN", "0.0.0.0:8008"),
                KeyValuePair.Create("PATRONI_RESTAPI_CONNECT_ADDRESS", "a:8008"),
                KeyValuePair.Create("PATRONI_POSTGRESQL_LISTEN", "*:5432"),
                KeyValuePair.Create("PATRONI_POSTGRESQL_CONNECT_ADDRESS", "a:5432"),
                KeyValuePair.Create("PATRONI_POSTGRESQL_DATA_DIR", "/d"),
                KeyValuePair.Create("PATRONI_SUPERUSER_USERNAME", "on"),
                KeyValuePair.Create("PATRONI_SUPERUSER_PASSWORD", "0123"),
                KeyValuePair.Create("PATRONI_REPLICATION_USERNAME", "r"),
                KeyValuePair.Create("PATRONI_REPLICATION_PASSWORD", "yes"),
            ]);

        var read = AgentSettingsReader.Load(null, environment);

        Assert.Empty(read.Errors);
        Assert.Equal(count, read.Settings!.Etcd.Endpoints.Count);
        Assert.Equal(("on", "0123"), (read.Settings.Postgres.Authentication.Superuser.Username,
            read.Settings.Postgres.Authentication.Superuser.Password));
    }
}
