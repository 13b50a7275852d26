using System.Text.Json;
using Routing.Agent.Config;
using Routing.Cluster;
using Routing.Cluster.Keys;

namespace Routing.Agent.Tests.Config;

public class EffectivePostgresConfig_takes_everything_together
{
    [Fact]
    public void Without_any_configuration_the_controlled_defaults_hold()
    {
        var config = Combine("", "{}");

        Assert.Equal(
            "cluster_name=orders hot_standby=on listen_addresses=127.0.0.2 max_connections=100 "
                + "max_locks_per_transaction=64 "
            + "max_prepared_transactions=0 max_replication_slots=10 max_wal_senders=10 max_worker_processes=8 "
            + "port=5432 "
            + "track_commit_timestamp=off wal_keep_size=128MB wal_level=replica wal_log_hints=on",
            Line(config.Parameters));
        Assert.Equal(Line(config.Parameters.Remove("wal_keep_size")), Line(config.ControlledParameters));
        Assert.Empty(config.RecoveryParameters);
        Assert.Null(config.PgHba);
        Assert.Null(config.PgIdent);
        Assert.Equal((true, false, TimeSpan.FromSeconds(60)),
            (config.UseSlots, config.UseRewind, config.StartStopTimeout));
        Assert.Equal(["basebackup"], config.CreateReplicaMethods);
    }

    [Theory]
    // parameter, given in the DCS, in force, complained of
    [InlineData("max_connections", "'160'", "160", false)]
    [InlineData("max_connections", "24", "100", true)]
    [InlineData("max_connections", "'many'", "100", true)]
    [InlineData("max_connections", "262144", "100", true)]
    [InlineData("max_wal_senders", "262143", "262143", false)]
    [InlineData("MAX_CONNECTIONS", "300", "300", false)]
    [InlineData("max_wal_senders", "2", "10", true)]
    [InlineData("max_wal_senders", "3", "3", false)]
    [InlineData("max_prepared_transactions", "-1", "0", true)]
    [InlineData("max_locks_per_transaction", "31", "64", true)]
    [InlineData("max_replication_slots", "4", "4", false)]
    [InlineData("max_worker_processes", "1", "8", true)]
    [InlineData("wal_level", "logical", "logical", false)]
    [InlineData("wal_level", "hot_standby", "replica", false)]
    [InlineData("wal_level", "minimal", "replica", true)]
    [InlineData("hot_standby", "off", "on", true)]
    [InlineData("hot_standby", "true", "on", false)]
    [InlineData("track_commit_timestamp", "yes", "on", false)]
    [InlineData("wal_log_hints", "off", "off", false)]
    [InlineData("wal_log_hints", "perhaps", "on", true)]
    [InlineData("wal_keep_size", "1GB", "1GB", false)]
    [InlineData("wal_keep_size", "64", "64", false)]
    [InlineData("wal_keep_size", "8MB", "128MB", true)]
    [InlineData("wal_keep_size", "much", "128MB", true)]
    public void A_controlled_parameter_is_checked(string name, string given, string inForce, bool complained)
    {
        var config = Combine("", $"{{postgresql: {{parameters: {{{name}: {given}}}}}}}");

        Assert.Equal(inForce, config.Parameters[name]);
        Assert.Equal(complained, !config.Problems.IsEmpty);
        Assert.All(config.Problems, problem => Assert.Contains(name, problem, StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public void Wal_keep_segments_is_the_same_in_segments_of_16_MB()
    {
        var config = Combine("", "{postgresql: {parameters: {wal_keep_segments: 10}}}");

        Assert.Equal("160MB", config.Parameters["wal_keep_size"]);
        Assert.DoesNotContain("wal_keep_segments", config.Parameters.Keys);
    }

    [Fact]
    public void Controlled_parameters_come_from_the_DCS_alone_and_three_from_nowhere()
    {
        var config = Combine(
            "postgresql: {parameters: {Max_Connections: 500, port: 1}}",
            "{postgresql: {parameters: {max_connections: 200, listen_addresses: x, port: 2, cluster_name: y}}}");

        Assert.Equal(
            ("200", "127.0.0.2", "5432", "orders"),
            (config.Parameters["max_connections"], config.Parameters["listen_addresses"], config.Parameters["port"],
                config.Parameters["cluster_name"]));
    }

    [Fact]
    public void Free_parameters_meet_key_by_key_in_any_case_and_the_local_one_wins()
    {
        var config = Combine(
            "postgresql: {parameters: {Work_Mem: 8MB, jit: off, autovacuum_naptime: 15, pg_stat_statements.track: "
                + "all}}",
            "{postgresql: {parameters: {work_mem: 4MB, maintenance_work_mem: 1GB, random_page_cost: 1.10}}}");

        Assert.Equal(
            "autovacuum_naptime=15 jit=off maintenance_work_mem=1GB pg_stat_statements.track=all random_page_cost=1.1 "
                + "work_mem=8MB",
            Line(config.Parameters.RemoveRange(config.ControlledParameters.Keys).Remove("wal_keep_size")));
    }

    [Theory]
    [InlineData(Role.Primary, "primary")]
    [InlineData(Role.Promoted, "primary")]
    [InlineData(Role.Replica, "replica")]
    [InlineData(Role.Demoted, "replica")]
    [InlineData(Role.StandbyLeader, "leader")]
    public void The_role_has_the_last_word(Role role, string expected)
    {
        const string Dynamic = """
            {postgresql: {
              parameters: {application_name: all}, pg_hba: [all], pg_ident: [all],
              parameters_primary: {application_name: primary}, pg_hba_primary: [primary], pg_ident_primary: [primary],
              parameters_replica: {application_name: replica}, pg_hba_replica: [replica], pg_ident_replica: [replica],
              parameters_standby_leader: {application_name: leader}, pg_hba_standby_leader: [leader], pg_ident_standby_leader: [leader]}}
            """;

        var config = Combine("postgresql: {parameters: {application_name: local}, pg_hba: [local]}", Dynamic, role);

        Assert.Equal(expected, config.Parameters["application_name"]);
        Assert.Equal([expected], config.PgHba!.Value);
        Assert.Equal([expected], config.PgIdent!.Value);
    }

    [Fact]
    public void The_role_can_not_change_a_controlled_parameter()
    {
        var config = Combine("postgresql: {parameters_primary: {max_connections: 999}}", "{}");

        Assert.Equal("100", config.Parameters["max_connections"]);
        Assert.Contains("parameters_primary.max_connections", Assert.Single(config.Problems), StringComparison.Ordinal);
    }

    [Fact]
    public void Recovery_settings_among_the_parameters_go_to_the_recovery_part()
    {
        var config = Combine(
            "postgresql: {parameters: {restore_command: a, work_mem: 1MB}, recovery_conf: {restore_command: b, "
                + "recovery_min_apply_delay: 5min}}",
            "{postgresql: {recovery_conf: {archive_cleanup_command: c}, parameters: {recovery_end_command: e}}}");

        Assert.Equal("recovery_end_command=e recovery_min_apply_delay=5min restore_command=b",
            Line(config.RecoveryParameters));
        Assert.DoesNotContain("restore_command", config.Parameters.Keys);
    }

    [Theory]
    [InlineData(15, "promote_trigger_file=/t")]
    [InlineData(16, "")]
    public void The_trigger_file_has_its_name_by_version(int version, string expected) => Assert.Equal(
        expected,
        Line(Combine("postgresql: {recovery_conf: {trigger_file: /t, standby_mode: on}}", "{}",
            version: version).RecoveryParameters));

    [Fact]
    public void Local_lists_and_sections_replace_dynamic_ones_as_a_whole()
    {
        var config = Combine(
            "postgresql: {pg_hba: [l1], basebackup: [verbose, max-rate: '100M'], callbacks: {on_start: /l}}",
            """
            {postgresql: {pg_hba: [d1, d2], pg_ident: [d3], basebackup: {checkpoint: fast}, rewind: [debug], callbacks: {on_start: /d, on_stop: /d},
              pg_ctl_timeout: 7, use_pg_rewind: 'on', use_slots: off, pre_promote: /p, before_stop: /b, krbsrvname: k, custom_conf: /c}}
            """);

        Assert.Equal(["l1"], config.PgHba!.Value);
        Assert.Equal(["d3"], config.PgIdent!.Value);
        Assert.Equal("--verbose --max-rate=100M", string.Join(' ', config.BaseBackup));
        Assert.Equal("--debug", string.Join(' ', config.Rewind));
        Assert.Equal("on_start=/l", Line(config.Callbacks));
        Assert.True(config is
        {
            UseRewind: true, UseSlots: false, PrePromote: "/p", BeforeStop: "/b", KerberosServiceName: "k",
                CustomConf: "/c",
            StartStopTimeout.TotalSeconds: 7,
        });
    }

    [Fact]
    public void A_wrong_dynamic_value_counts_as_missing_and_is_named()
    {
        var config = Combine("", "{postgresql: {pg_ctl_timeout: soon, use_unix_socket: on}}");

        Assert.Equal(TimeSpan.FromSeconds(60), config.StartStopTimeout);
        Assert.True(config.UseUnixSocket);
        Assert.Contains(config.Problems,
            problem => problem.StartsWith("postgresql.pg_ctl_timeout: 'soon'", StringComparison.Ordinal));
    }

    [Fact]
    public void What_belongs_to_one_node_is_never_taken_from_the_DCS()
    {
        var config = Combine(
            "", "{postgresql: {listen: 'x:1', data_dir: /x, authentication: {superuser: {username: x}}, pgpass: /x}}");

        Assert.Equal(("127.0.0.2", "5432"), (config.Parameters["listen_addresses"], config.Parameters["port"]));
        Assert.Empty(config.Problems);
    }

    [Fact]
    public void The_agent_s_own_file_names_leave_pg_hba_alone()
    {
        var config =
            Combine("postgresql: {parameters: {hba_file: /h, ident_file: /i}, pg_hba: [a], pg_ident: [b]}", "{}");

        Assert.Null(config.PgHba);
        Assert.Null(config.PgIdent);
    }

    [Theory]
    [InlineData("off", true)]
    [InlineData("on", false)]
    [InlineData("quorum", false)]
    public void The_list_of_synchronous_standbys_is_the_operator_s_only_without_synchronous_mode(
        string mode, bool kept) => Assert.Equal(
        kept,
        Combine("postgresql: {parameters: {synchronous_standby_names: a}}", $"{{synchronous_mode: {mode}}}")
            .Parameters.ContainsKey("synchronous_standby_names"));

    [Fact]
    public void Logical_slots_that_always_exist_need_feedback()
    {
        const string Dynamic = "{slots: {l: {type: logical, database: d, plugin: p}}}";

        Assert.Equal("on", Combine("postgresql: {parameters: {hot_standby_feedback: off}}",
            Dynamic).Parameters["hot_standby_feedback"]);
        Assert.DoesNotContain("hot_standby_feedback", Combine("tags: {nostream: true}", Dynamic).Parameters.Keys);
    }

    [Fact]
    public void Custom_methods_are_found_on_either_side()
    {
        var config = Combine(
            "postgresql: {create_replica_methods: [wal_g, disk, plain, basebackup], wal_g: {command: /wg, keep_data: "
                + "on, no_params: on, threads: 4, verbose: yes}}",
            "{postgresql: {create_replica_methods: [basebackup], disk: {command: /disk, no_leader: true}}}");

        Assert.Equal(["wal_g", "disk", "plain", "basebackup"], config.CreateReplicaMethods);
        Assert.Equal("disk plain wal_g", string.Join(' ', config.ReplicaMethods.Keys));
        Assert.True(
            config.ReplicaMethods["wal_g"] is { Command: "/wg", KeepData: true, NoParameters: true, NoLeader: false });
        Assert.Equal("threads=4 verbose=True", Line(config.ReplicaMethods["wal_g"].Arguments));
        Assert.True(config.ReplicaMethods["disk"] is { Command: "/disk", NoLeader: true });
        Assert.Equal("plain", config.ReplicaMethods["plain"].Command);
    }

    [Theory]
    [InlineData("postgresql: {create_replica_methods: [disk], disk: {command: /d, no_leader: true}}", "{}", true)]
    [InlineData("postgresql: {disk: {command: /d, no_leader: true}}", "{}", false)]
    [InlineData("{}", "{postgresql: {create_replica_methods: [disk], disk: {command: /d, no_leader: true}}}", true)]
    [InlineData("postgresql: {create_replica_methods: [disk]}", "{postgresql: {disk: {command: /d, no_leader: true}}}",
        true)]
    [InlineData("postgresql: {create_replica_methods: [disk], disk: {command: /d}}",
        "{postgresql: {disk: {command: /d, no_leader: true}}}", false)]
    [InlineData("postgresql: {create_replica_methods: [basebackup]}",
        "{postgresql: {create_replica_methods: [disk], disk: {command: /d, no_leader: true}}}", false)]
    public void A_method_without_a_leader_may_stand_on_either_side(string local, string dynamicYaml, bool can) =>
        Assert.Equal(can, EffectivePostgresConfig.CanCloneWithoutLeader(
            Yaml.Settings(local), DynamicConfigReader.Read(Json(dynamicYaml), 0)));

    private static PostgresConfig Combine(
        string local, string dynamicYaml, Role role = Role.Primary, int version = 17) =>
        EffectivePostgresConfig.Combine(
            Yaml.Settings(local), DynamicConfigReader.Read(Json(dynamicYaml), 0), role, version);

    private static JsonElement Json(string yaml) =>
        Routing.Settings.SectionReader.ToElement(Routing.Settings.YamlText.ReadValue(yaml, "the DCS"));

    private static string Line(IEnumerable<KeyValuePair<string, string>> pairs) =>
        string.Join(' ', pairs.Select(pair => $"{pair.Key}={pair.Value}"));
}
