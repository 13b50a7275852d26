using System.Text.Json.Nodes;
using Routing.Agent.Config;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Settings;
using Routing.TestKit;

namespace Routing.Agent.Tests.Config;

/// <summary>
/// Every setting gets values of every type, and addresses of every form: each reading ends with an answer.
/// </summary>
public sealed class Odd_values_never_end_in_an_exception
{
    private const string Everything = """
        scope: orders
        namespace: /service
        name: n1
        thread_pool_size: 5
        thread_stack_size: 1
        log: {type: plain, level: INFO, traceback_level: ERROR, format: '%(message)s', dateformat: '', static_fields: {a: b},
          max_queue_size: 1, dir: /tmp, mode: 0600, file_num: 1, file_size: 1, loggers: {rest: DEBUG}, deduplicate_heartbeat_logs: on}
        restapi: {listen: 127.0.0.2:8008, connect_address: 127.0.0.2:8008, authentication: {username: u, password: p}, certfile: /nowhere/c,
          keyfile: /nowhere/k, keyfile_password: p, cafile: /nowhere/a, ciphers: x, verify_client: none, allowlist: [10.0.0.0/8],
          allowlist_include_members: on, http_extra_headers: {A: b}, https_extra_headers: {A: b}, request_queue_size: 5,
          server_tokens: minimal, thread_pool_size: 5}
        ctl: {authentication: {username: u, password: p}, insecure: on, cacert: /nowhere/a, certfile: /nowhere/c, keyfile: /nowhere/k,
          keyfile_password: p}
        etcd3: {hosts: 127.0.0.1:1, host: 127.0.0.1:1, url: 'http://127.0.0.1:1', proxy: 'http://127.0.0.1:1', srv: x.invalid, srv_suffix: s,
          use_proxies: on, protocol: http, port: 1, username: u, password: p, cacert: /nowhere/a, cert: /nowhere/c, key: /nowhere/k}
        post_bootstrap: [{type: sql, command: SELECT 1}]
        bootstrap:
          method: custom
          custom: {command: x, no_params: on, keep_existing_recovery_conf: on, recovery_conf: {a: b}, other: 1}
          dcs: {ttl: 30, loop_wait: 10, retry_timeout: 10, maximum_lag_on_failover: 1, maximum_lag_on_syncnode: 1, check_timeline: on,
            primary_start_timeout: 1, primary_stop_timeout: 1, primary_race_backoff: 1, max_timelines_history: 1, synchronous_mode: on,
            synchronous_mode_strict: on, synchronous_node_count: 1, failsafe_mode: on, member_slots_ttl: 1, pause: on,
            slots: {a: {type: logical, database: d, plugin: p}}, ignore_slots: [{name: a}], standby_cluster: {host: h, port: 1},
            postgresql: {use_slots: on, use_pg_rewind: on, parameters: {max_connections: 100, work_mem: 4MB}, pg_hba: [x], pg_ident: [x],
              recovery_conf: {restore_command: x}, callbacks: {on_start: x}, create_replica_methods: [m], m: {command: x}}}
          postgresql: {parameters: {a: b}}
          initdb: [{encoding: UTF8}, data-checksums]
          pg_hba: [x]
          post_bootstrap: x
          post_init: x
          users: {a: b}
        postgresql:
          name: n1
          listen: 127.0.0.2:5432
          connect_address: 127.0.0.2:5432
          proxy_address: 127.0.0.2:5433
          data_dir: /tmp/routing-nowhere/data
          config_dir: /tmp/routing-nowhere/config
          config_base_name: postgresql
          bin_dir: /nowhere
          bin_name: {pg_ctl: a, initdb: a, pg_controldata: a, pg_basebackup: a, postgres: a, pg_isready: a, pg_rewind: a}
          pgpass: /tmp/routing-nowhere/pgpass
          database: postgres
          authentication:
            superuser: {username: postgres, password: s, sslmode: require, sslcert: a, sslkey: a, sslrootcert: a, sslcrl: a, sslpassword: a,
              sslcrldir: a, gssencmode: disable, channel_binding: prefer, sslnegotiation: direct}
            replication: {username: replicator, password: r}
            rewind: {username: rewinder, password: r}
          parameters: {unix_socket_directories: /tmp}
          parameters_primary: {a: b}
          pg_hba: [x]
          pg_hba_replica: [x]
          pg_ident: [x]
          pg_ident_replica: [x]
          recovery_conf: {restore_command: x}
          custom_conf: /x
          callbacks: {on_start: x, on_restart: x}
          create_replica_methods: [m, basebackup]
          m: {command: x, keep_data: on, no_params: on, no_leader: on, other: 1}
          basebackup: [{max-rate: 1M}, verbose]
          rewind: [debug]
          use_pg_rewind: on
          remove_data_directory_on_rewind_failure: on
          remove_data_directory_on_diverged_timelines: on
          use_unix_socket: on
          use_unix_socket_repl: on
          pg_ctl_timeout: 60
          krbsrvname: x
          pre_promote: x
          before_stop: x
          use_slots: on
        watchdog: {mode: off, device: /x, safety_margin: 5, driver: x}
        tags: {nofailover: on, failover_priority: 1, nosync: on, sync_priority: 1, noloadbalance: on, clonefrom: on, replicatefrom: b,
          nostream: on, zone: a}
        citus: {group: 1}
        standby_cluster: {host: x}
        """;

    /// <summary>What no configuration can do without.</summary>
    private const string Least = """
        scope: orders
        name: n1
        restapi: {listen: 127.0.0.2:8008, connect_address: 127.0.0.2:8008}
        etcd3: {hosts: 127.0.0.1:1}
        postgresql:
          listen: 127.0.0.2:5432
          connect_address: 127.0.0.2:5432
          data_dir: /tmp/routing-nowhere/data
          bin_dir: /nowhere
          authentication: {superuser: {username: postgres, password: s}, replication: {username: replicator, password: r}}
        """;

    private static readonly string[] s_values =
    [
        "null", "''", "' '", "0", "-1", "1", "65536", "99999999999999999999999999", "1.5", "1.0e+999", ".inf", ".nan",
        "0x_", "0b1", "1_0",
        "12:30", "true", "off", "[]", "{}", "[null]", "[[]]", "[{}]", "{a: b}", "{a: {b: c}}", "{'': ''}",
        "[{a: b, c: d}]", "[1, on]",
        "'a\\b'", "\"\\0\"", "\"a\\nb\"", "\"\\uD800\"", "\"\\U0001F600\"", "'*'", "'*:1'", "'0.0.0.0:1'", "'[::]:1'",
        "':::1'", "'::1:1'",
        "'127.0.0.1, ::1:1'", "'[::1],127.0.0.1:1'", "'localhost:1'", "':1'", "'a:'", "'a:0'", "'a:b:c'",
        "'http://u:p@h/'", "'http://'",
        "'//'", "'%'", "'%zz'", "'../..'", "'/'", "'~'", "'10.0.0.0/99'", "'::/129'", "2024-01-01", "!!str x",
        "&a [*a]",
    ];

    /// <summary>
    /// Each value stands in its own section, beside the least of the others; and the first one beside everything: to
    /// read all of it each time would take four times as long.
    /// </summary>
    [Fact]
    public void Whatever_stands_at_any_path()
    {
        var everything = YamlText.ReadMapping(Everything, "everything").Root;
        var problems = new List<string>();
        var count = 0;

        foreach (var section in everything.Select(pair => pair.Key))
        {
            var places = new OddPlaces(Around(everything, section));
            foreach (var path in places.Paths.Where(path => path.Split('/')[0] == section))
            {
                count++;
                Try(places, path, Values(path));
            }
        }
        var whole = new OddPlaces(everything);
        foreach (var path in whole.Paths)
        {
            Try(whole, path, s_values.Take(1));
        }

        Assert.Equal(whole.Paths.Count, count);
        Assert.InRange(count, 150, 1000);
        Assert.Empty(problems);

        void Try(OddPlaces places, string path, IEnumerable<string> values)
        {
            foreach (var (value, text) in places.With(path, values))
            {
                try
                {
                    Read(text);
                }
                catch (Exception problem)
                {
                    problems.Add($"{path}: {value}: {problem.GetType().Name}: {problem.Message}");
                }
            }
        }
    }

    /// <summary>A section whole, and the least of all others.</summary>
    private static JsonObject Around(JsonObject everything, string section)
    {
        var around = YamlText.ReadMapping(Least, "least").Root.DeepClone().AsObject();
        around[section] = everything[section]?.DeepClone();
        return around;
    }

    /// <summary>A value of every type; long texts too.</summary>
    private static IEnumerable<string> Values(string path) =>
        path.Contains("address", StringComparison.Ordinal) || path.Contains("listen", StringComparison.Ordinal)
            || path.Contains("host", StringComparison.Ordinal)
            ? s_values.Append($"'{new string('x', 300)}:1'").Append($"'{new string('1', 300)}'")
            : s_values;

    private static void Read(string over)
    {
        var result = Load(over);
        if (result.Draft is { } settings)
        {
            var dynamicConfig = settings.Bootstrap is { } bootstrap
                ? DynamicConfigReader.Read(bootstrap.Dcs, 0)
                : DynamicConfig.Default;
            EffectivePostgresConfig.Combine(settings, dynamicConfig, Role.Primary, 17);
            EffectivePostgresConfig.Combine(settings, dynamicConfig.After(DynamicConfig.Default), Role.Replica, 13);
        }
        foreach (var problem in result.Errors.Concat(result.Warnings).Concat(result.BootstrapErrors))
        {
            Assert.NotEmpty(problem.ToString());
            Assert.NotEmpty(problem.ToReportLine());
            Assert.DoesNotContain(AgentSettingsReader.Unforeseen, problem.Message, StringComparison.Ordinal);
        }
    }

    private static AgentSettingsResult Load(string over)
    {
        var environment = SettingsEnvironment.From(
            AgentSettingsReader.EnvironmentPrefix, [KeyValuePair.Create("PATRONI_CONFIGURATION", over)]);
        return AgentSettingsReader.Load(null, environment);
    }
}
