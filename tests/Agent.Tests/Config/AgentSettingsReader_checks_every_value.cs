using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Cluster;

namespace Routing.Agent.Tests.Config;

public class AgentSettingsReader_checks_every_value
{
    [Fact]
    public void The_smallest_configuration_has_the_known_defaults()
    {
        var settings = Yaml.Settings();

        Assert.Equal("/service", settings.Namespace);
        Assert.Null(settings.Bootstrap);
        Assert.Equal((LogLevel.Information, LogLevel.Error, 1000, 4, 25_000_000L), (
            settings.Log.Level, settings.Log.TracebackLevel, settings.Log.MaximumQueueLength, settings.Log.FileCount,
            settings.Log.FileSizeBytes));
        Assert.Equal((WatchdogMode.Automatic, "/dev/watchdog"), (settings.Watchdog.Mode, settings.Watchdog.Device));
        Assert.Equal("postgres", settings.Postgres.Database);
        Assert.Equal("/tmp/routing-nowhere/data", settings.Postgres.ConfigDirectory);
        Assert.EndsWith("/pgpass", settings.Postgres.PasswordFile, StringComparison.Ordinal);
        Assert.Equal("postgres", settings.Postgres.Authentication.RewindOrSuperuser.Username);
        Assert.Empty(settings.Tags);
    }

    [Theory]
    [InlineData("name: null", "name: is not defined.")]
    [InlineData("scope: null", "scope: is not defined.")]
    [InlineData("name: __patroni_strict_sync_replica_placeholder__",
        "name: '__patroni_strict_sync_replica_placeholder__': must be another name: this one is reserved")]
    [InlineData("restapi: null", "restapi.listen: is not defined.|restapi.connect_address: is not defined.")]
    [InlineData("restapi: {listen: 8008x}", "restapi.listen: '8008x': must be host:port with a port from 1 to 65535")]
    [InlineData(
        "restapi: {verify_client: maybe}", "restapi.verify_client: 'maybe': must be one of none, optional, required")]
    [InlineData("restapi: {request_queue_size: 5000}",
        "restapi.request_queue_size: '5000': must be a whole number from 0 to 4096")]
    [InlineData("restapi: {authentication: {username: u}}", "restapi.authentication.password: is not defined.")]
    [InlineData("restapi: {listen: '0.0.0.0:1', connect_address: null}", "restapi.connect_address: is not defined.")]
    [InlineData("restapi: {http_extra_headers: {X Y: a}}",
        """restapi.http_extra_headers: must be the names of headers that HTTP knows and that the agent does not set itself, not 'X Y'""")]
    [InlineData("restapi: {https_extra_headers: {Content-Length: 1}}",
        """restapi.https_extra_headers: must be the names of headers that HTTP knows and that the agent does not set itself, not 'Content-Length'""")]
    [InlineData("restapi: {http_extra_headers: {X-A: 'caf\u00e9'}}",
        """restapi.http_extra_headers: must be plain ASCII texts; that of X-A is not""")]
    [InlineData("restapi: {allowlist: [10.0.0.0/99]}",
        """restapi.allowlist: '(a list)': must be names, addresses, and networks such as 10.0.0.0/8, not '10.0.0.0/99'""")]
    [InlineData("etcd3: null", "etcd3: is not defined.")]
    [InlineData(
        "log: {level: LOUD}", "log.level: 'LOUD': must be one of DEBUG, INFO, WARN, WARNING, ERROR, FATAL, CRITICAL")]
    [InlineData("log: {type: xml}", "log.type: 'xml': must be one of plain, json")]
    [InlineData("log: {mode: '0999'}", "log.mode: '0999': must be octal digits from 0000 to 0777")]
    [InlineData("log: 5", "log: '5': must be a mapping of keys to values")]
    [InlineData("postgresql: null",
        "postgresql.listen: is not defined.|postgresql.connect_address: is not defined.|postgresql.data_dir: is not "
            + "defined.|postgresql.authentication.superuser.username: is not "
            + "defined.|postgresql.authentication.replication.username: is not defined.")]
    [InlineData("postgresql: {listen: 'a,b:x'}",
        "postgresql.listen: 'a,b:x': must be host:port, or hosts separated by commas and one port, or *:port")]
    [InlineData(
        "postgresql: {listen: '*,b:1'}", "postgresql.listen: '*,b:1': must be * alone, or a list of hosts without it")]
    [InlineData("postgresql: {use_pg_rewind: perhaps}",
        "postgresql.use_pg_rewind: 'perhaps': must be on, off, true, false, yes, no, 1 or 0")]
    [InlineData(
        "postgresql: {pg_ctl_timeout: -1}", "postgresql.pg_ctl_timeout: '-1': must be a whole number of at least 0")]
    [InlineData("postgresql: {pg_hba: local all all trust}",
        "postgresql.pg_hba: 'local all all trust': must be a list of texts")]
    [InlineData("postgresql: {basebackup: [{a: b, c: d}]}",
        """postgresql.basebackup[0]: '(a mapping)': must be an option's name, or one name: value""")]
    [InlineData("postgresql: {basebackup: {format: tar}}",
        "postgresql.basebackup.format: 'tar': must be left out: the agent sets format itself")]
    [InlineData(
        "postgresql: {authentication: {superuser: {username: a, sslmode: verify_full}}}",
        "postgresql.authentication.superuser.sslmode: 'verify_full': must be one of disable, allow, prefer, require, "
            + "verify-ca, verify-full")]
    [InlineData(
        "postgresql: {authentication: {replication: {username: a, channel_binding: 'on'}}}",
        "postgresql.authentication.replication.channel_binding: 'on': must be one of disable, prefer, require")]
    [InlineData(
        "postgresql: {parameters: [a]}", """postgresql.parameters: '(a list)': must be a mapping of names to values""")]
    [InlineData("bootstrap: {initdb: [pwfile: /x]}",
        "bootstrap.initdb[0]: '/x': must be left out: the agent sets pwfile itself")]
    [InlineData("post_bootstrap: /bin/x",
        "post_bootstrap: must be a list of {type: sql, command: …} (a script belongs to bootstrap.post_bootstrap)")]
    [InlineData("post_bootstrap: [{type: sh, command: x}]", "post_bootstrap[0].type: must be one of sql")]
    [InlineData("post_bootstrap: [{type: sql}]", "post_bootstrap[0].command: is not defined.")]
    [InlineData("watchdog: {mode: always}",
        "watchdog.mode: 'always': must be one of off, automatic, required, disabled, disable, auto, require")]
    [InlineData("watchdog: {safety_margin: -2}", "watchdog.safety_margin: '-2': must be a whole number of at least -1")]
    [InlineData(
        "tags: {nofailover: perhaps}", "tags.nofailover: 'perhaps': must be on, off, true, false, yes, no, 1 or 0")]
    public void A_wrong_value_is_named_with_its_path_its_value_and_what_is_allowed(string over, string messages)
    {
        var result = Yaml.Load(over);

        var errors = result.Errors.Concat(result.BootstrapErrors).ToList();
        Assert.Equal(messages, string.Join('|', errors.Select(error => (error with { Origin = "" }).ToString())));
        Assert.All(errors, error => Assert.NotEmpty(error.Origin));
        Assert.Equal(result.Errors.IsEmpty, result.Settings is not null);
    }

    [Theory]
    [InlineData("bootstrap: {dcs: {ttl: much}}")]
    [InlineData("bootstrap: {dcs: {standby_cluster: {port: 99999}}}")]
    [InlineData("bootstrap: {initdb: {pwfile: /x}}")]
    [InlineData("bootstrap: 5")]
    [InlineData("{bootstrap: {}, post_bootstrap: 5}")]
    public void A_mistake_in_what_makes_a_new_cluster_keeps_from_that_alone(string over)
    {
        var result = Yaml.Load(over);

        Assert.NotEmpty(result.BootstrapErrors);
        Assert.True(result.Settings is { Bootstrap: null or { IsUsable: false } });
    }

    [Theory]
    [InlineData("etcd3: {url: 'ftp://u:geheim@h'}")]
    [InlineData("etcd3: {url: ['http://u:geheim@h']}")]
    [InlineData("etcd3: {hosts: ['h:x', 'http://u:gehe@im:geheim@h:x']}")]
    [InlineData("etcd3: {password: [geheim]}")]
    [InlineData("restapi: {authentication: geheim}")]
    [InlineData("restapi: {authentication: [geheim]}")]
    [InlineData("restapi: {http_extra_headers: {Content-Length: geheim}}")]
    [InlineData("post_bootstrap: CREATE ROLE x PASSWORD 'geheim'")]
    [InlineData("post_bootstrap: [CREATE ROLE x PASSWORD 'geheim']")]
    [InlineData("post_bootstrap: [{type: geheim, command: x}]")]
    [InlineData("postgresql: {authentication: {superuser: geheim}}")]
    [InlineData("postgresql: {superuser: {password: [geheim]}, authentication: null}")]
    [InlineData("postgresql: {recovery_conf: {primary_conninfo: [geheim]}}")]
    [InlineData("postgresql: {recovery_conf: 'host=x password=geheim'}")]
    [InlineData("postgresql: {parameters: 'password = geheim'}")]
    [InlineData("postgresql: {basebackup: {password: geheim}}")]
    [InlineData("postgresql: {proxy_address: 'postgres://u:geheim@h:x'}")]
    [InlineData("ctl: {keyfile_password: [geheim]}")]
    [InlineData("restapi: {authentication: {username: u, password: !secret geheim}}")]
    public void A_wrong_value_tells_no_secret(string over)
    {
        var result = Yaml.Load(over);
        var problems = result.Errors.Concat(result.BootstrapErrors).Concat(result.Warnings).ToList();

        Assert.NotEmpty(problems);
        Assert.DoesNotContain(problems, problem => problem.ToString().Contains("geheim", StringComparison.Ordinal));
        Assert.DoesNotContain(problems, problem => problem.ToReportLine().Contains("geheim", StringComparison.Ordinal));
    }

    [Fact]
    public void A_wrong_variable_tells_no_secret()
    {
        var result = Yaml.Load("", ("PATRONI_ETCD3_AUTH_DATA", "geheim"),
            ("PATRONI_RESTAPI_HTTP_EXTRA_HEADERS", "[geheim"), ("PATRONI_ETCD3_URL", "x://u:geheim@"));

        Assert.NotEmpty(result.Errors);
        Assert.DoesNotContain(result.Errors,
            problem => problem.ToString().Contains("geheim", StringComparison.Ordinal));
    }

    [Fact]
    public void A_wrong_value_of_the_initial_dynamic_configuration_is_an_error()
    {
        var error = Assert.Single(Yaml.Load("bootstrap: {dcs: {synchronous_mode: sometimes}}").BootstrapErrors);

        Assert.Contains("synchronous_mode", error.ToString(), StringComparison.Ordinal);
        Assert.Contains("sometimes", error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("typo: 1", "typo")]
    [InlineData("restapi: {lisen: x}", "restapi.lisen")]
    [InlineData("log: {levle: x}", "log.levle")]
    [InlineData("postgresql: {paramters: {a: b}}", "postgresql.paramters")]
    [InlineData("postgresql: {authentication: {superuser: {user: x}}}", "postgresql.authentication.superuser.user")]
    [InlineData("postgresql: {use_slots: false}", "postgresql.use_slots")]
    [InlineData("postgresql: {callbacks: {on_begin: x}}", "postgresql.callbacks.on_begin")]
    [InlineData("bootstrap: {dsc: {}}", "bootstrap.dsc")]
    [InlineData("bootstrap: {postgresql: {use_pg_rewnd: true}}", "bootstrap.postgresql.use_pg_rewnd")]
    [InlineData("bootstrap: {users: {a: {}}}", "bootstrap.users")]
    [InlineData("ttl: 30", "ttl")]
    [InlineData("citus: {group: 0}", "citus")]
    [InlineData("watchdog: {modus: off}", "watchdog.modus")]
    [InlineData("tags: {nofailover: true, failover_priority: 3}", "tags.failover_priority")]
    [InlineData("post_bootstrap: [{type: sql, command: x}]", "post_bootstrap")]
    public void What_has_no_effect_is_named_and_stops_nothing(string over, string path)
    {
        var result = Yaml.Load(over);

        Assert.NotNull(result.Settings);
        Assert.Equal(path, Assert.Single(result.Warnings).Path);
    }

    [Theory]
    [InlineData("log: {mode: 0600}", 384)]
    [InlineData("log: {mode: '0640'}", 416)]
    public void The_mode_of_the_log_file_is_octal(string over, int mode) =>
        Assert.Equal(mode, Yaml.Settings(over).Log.FileMode);

    [Theory]
    [InlineData("'*:5433'", "*", 5433)]
    [InlineData("'a,b:5433'", "a b", 5433)]
    [InlineData("'127.0.0.1,[::1]:5433'", "127.0.0.1 ::1", 5433)]
    [InlineData("localhost", "localhost", 5432)]
    public void The_addresses_listened_on(string listen, string hosts, int port)
    {
        var postgres = Yaml.Settings($"postgresql: {{listen: {listen}}}").Postgres;

        Assert.Equal((hosts, port), (string.Join(' ', postgres.ListenAddresses), postgres.Port));
    }

    [Fact]
    public void The_environment_wins_over_the_file()
    {
        var result = Yaml.Load(
            "", ("PATRONI_NAME", "other"), ("PATRONI_REPLICATION_PASSWORD", "from-env"),
            ("PATRONI_RESTAPI_LISTEN", "127.0.0.3:1"),
            ("PATRONI_LOG_LEVEL", "debug"), ("PATRONI_ETCD3_HOSTS", "a:1,b:2"),
            ("PATRONI_RESTAPI_ALLOWLIST_INCLUDE_MEMBERS", "on"));

        Assert.Equal(
            ("other", "from-env", new HostPort("127.0.0.3", 1), LogLevel.Debug, 2, true),
            (result.Settings!.Name, result.Settings.Postgres.Authentication.Replication.Password,
                result.Settings.Rest.Listen,
                result.Settings.Log.Level, result.Settings.Etcd.Endpoints.Count,
                result.Settings.Rest.AllowListIncludesMembers));
    }

    [Fact]
    public void A_wrong_variable_is_named_by_its_name() => Assert.Equal(
        "PATRONI_RESTAPI_LISTEN: restapi.listen: 'x': must be host:port with a port from 1 to 65535",
        Assert.Single(Yaml.Load("", ("PATRONI_RESTAPI_LISTEN", "x")).Errors).ToString());

    [Fact]
    public void Every_libpq_keyword_of_a_user_is_kept_and_offered_by_version()
    {
        var user = Yaml.Settings("""
            postgresql:
              authentication:
                superuser: {sslmode: require, sslcert: c, sslkey: k, sslrootcert: r, sslcrl: l, sslpassword: p, sslcrldir: d,
                            gssencmode: disable, channel_binding: require, sslnegotiation: direct}
            """).Postgres.Authentication.Superuser;

        Assert.Equal(10, user.Options.Count);
        Assert.DoesNotContain("sslnegotiation", user.OptionsFor(16).Select(option => option.Key));
        Assert.Contains("sslnegotiation", user.OptionsFor(17).Select(option => option.Key));
        Assert.DoesNotContain("sslcrldir", user.OptionsFor(13).Select(option => option.Key));
        Assert.DoesNotContain(" s ", user.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_older_places_of_users_are_understood()
    {
        var result = Yaml.Load("""
            postgresql:
              authentication: null
              superuser: {username: su}
              replication: {username: re}
              pg_rewind: {username: rw}
            """);

        Assert.Empty(result.Warnings);
        Assert.Equal(
            ("su", "re", "rw"),
            (result.Settings!.Postgres.Authentication.Superuser.Username,
                result.Settings.Postgres.Authentication.Replication.Username,
                result.Settings.Postgres.Authentication.Rewind!.Username));
    }

    [Fact]
    public void The_inner_section_wins_over_the_one_beside_it_key_by_key()
    {
        var dcs = Yaml.Settings("""
            bootstrap:
              dcs:
                postgresql: {use_pg_rewind: false, parameters: {Max_Connections: 200}}
              postgresql: {use_pg_rewind: true, pg_ctl_timeout: 9, parameters: {max_connections: 100, wal_keep_size: 1GB}}
            """).Bootstrap!.Dcs;

        Assert.Equal(
            """{"postgresql":{"use_pg_rewind":false,"pg_ctl_timeout":9,"parameters":{"wal_keep_size":"1GB","Max_Connections":200}}}""",
            dcs.GetRawText());
    }

    [Theory]
    [InlineData("{post_init: /bin/a}", "/bin/a")]
    [InlineData("{post_bootstrap: /bin/b, post_init: /bin/a}", "/bin/b")]
    public void The_script_after_bootstrap_has_two_names(string bootstrap, string command) =>
        Assert.Equal(command, Yaml.Settings($"bootstrap: {bootstrap}").Bootstrap!.PostBootstrapCommand);

    [Fact]
    public void A_custom_bootstrap_method_takes_its_own_keys_as_arguments()
    {
        var result = Yaml.Load("""
            bootstrap:
              method: restore
              restore:
                command: /bin/restore --now
                keep_existing_recovery_conf: 'on'
                recovery_conf: {restore_command: cp, recovery_target_timeline: latest}
                stanza: orders
                level: 3
              other: {command: /bin/other}
            """);

        var custom = result.Settings!.Bootstrap!.Custom!;
        Assert.Empty(result.Warnings);
        Assert.Equal(("restore", "/bin/restore --now", true, false),
            (custom.Name, custom.Command, custom.KeepExistingRecoveryConf, custom.NoParameters));
        Assert.Equal("level=3 stanza=orders",
            string.Join(' ', custom.Arguments.Select(pair => $"{pair.Key}={pair.Value}")));
        Assert.Equal("cp", custom.RecoveryConf!["restore_command"]);
    }

    [Fact]
    public void Tags_keep_what_the_operator_wrote()
    {
        var tags = Yaml.Settings("tags: {zone: east, weight: 3, clonefrom: 'on', list: [a]}").Tags;

        Assert.Equal("""clonefrom="on" list=["a"] weight=3 zone="east" """.TrimEnd(),
            string.Join(' ', tags.Select(tag => $"{tag.Key}={tag.Value.GetRawText()}")));
    }
}
