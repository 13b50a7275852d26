using Xunit;

namespace Routing.Settings.Tests;

public class EnvironmentSchema_knows_every_variable
{
    /// <summary>The agent's variables beside those of a DCS: a section, and its keys.</summary>
    [Theory]
    [InlineData("", "scope namespace name thread_pool_size thread_stack_size")]
    [InlineData("log",
        "type level traceback_level format dateformat static_fields max_queue_size dir mode file_num file_size "
            + "loggers deduplicate_heartbeat_logs")]
    [InlineData("restapi",
        "listen connect_address certfile keyfile keyfile_password cafile ciphers verify_client allowlist "
            + "allowlist_include_members "
        + "http_extra_headers https_extra_headers request_queue_size server_tokens thread_pool_size")]
    [InlineData("ctl", "insecure cacert certfile keyfile keyfile_password")]
    [InlineData("postgresql", "listen connect_address proxy_address data_dir config_dir bin_dir pgpass")]
    [InlineData("etcd3",
        "host hosts url proxy srv srv_suffix use_proxies protocol port username password cacert cert key")]
    [InlineData(
        "etcd", "host hosts url proxy srv srv_suffix use_proxies protocol port username password cacert cert key")]
    public void A_key_of_a_section_has_a_variable_of_its_name(string section, string keys)
    {
        foreach (var key in keys.Split(' '))
        {
            var suffix = (section.Length == 0 ? key : $"{section}_{key}").ToUpperInvariant();
            var path = SettingsTree.Join(section, key);
            Assert.Contains(EnvironmentSchema.Agent, variable => variable.Suffix == suffix && variable.Path == path);
        }
    }

    [Theory]
    [InlineData("superuser")]
    [InlineData("replication")]
    [InlineData("rewind")]
    public void Each_user_has_a_variable_per_keyword(string user)
    {
        const string keywords =
            "username password sslmode sslcert sslkey sslpassword sslrootcert sslcrl sslcrldir gssencmode "
                + "channel_binding sslnegotiation";

        foreach (var keyword in keywords.Split(' '))
        {
            var suffix = $"{user}_{keyword}".ToUpperInvariant();
            Assert.Contains(
                EnvironmentSchema.Agent, variable =>
                    variable.Suffix == suffix && variable.Path == $"postgresql.authentication.{user}.{keyword}");
        }
    }

    [Theory]
    [InlineData("RESTAPI_USERNAME", "restapi.authentication.username")]
    [InlineData("RESTAPI_PASSWORD", "restapi.authentication.password")]
    [InlineData("CTL_USERNAME", "ctl.authentication.username")]
    [InlineData("CTL_PASSWORD", "ctl.authentication.password")]
    [InlineData("POSTGRESQL_BIN_PG_CTL", "postgresql.bin_name.pg_ctl")]
    [InlineData("POSTGRESQL_BIN_INITDB", "postgresql.bin_name.initdb")]
    [InlineData("POSTGRESQL_BIN_PG_CONTROLDATA", "postgresql.bin_name.pg_controldata")]
    [InlineData("POSTGRESQL_BIN_PG_BASEBACKUP", "postgresql.bin_name.pg_basebackup")]
    [InlineData("POSTGRESQL_BIN_POSTGRES", "postgresql.bin_name.postgres")]
    [InlineData("POSTGRESQL_BIN_PG_ISREADY", "postgresql.bin_name.pg_isready")]
    [InlineData("POSTGRESQL_BIN_PG_REWIND", "postgresql.bin_name.pg_rewind")]
    [InlineData("LOGLEVEL", "log.level")]
    [InlineData("LOGFORMAT", "log.format")]
    [InlineData("LOG_DATEFMT", "log.dateformat")]
    public void A_variable_with_a_name_of_its_own_has_its_place(string suffix, string path) =>
        Assert.Contains(EnvironmentSchema.Agent, variable => variable.Suffix == suffix && variable.Path == path);

    [Theory]
    [InlineData("consul",
        "host port url scheme token verify cacert cert key dc consistency checks register_service service_tags "
            + "service_check_interval service_check_tls_server_name")]
    [InlineData("zookeeper", "hosts use_ssl cacert cert key key_password verify set_acls auth_data")]
    [InlineData("exhibitor", "hosts port")]
    [InlineData("kubernetes",
        "namespace context use_endpoints scope_label role_label leader_label_value follower_label_value "
            + "standby_leader_label_value tmp_role_label pod_ip ports labels cacert bypass_api_service "
            + "retriable_http_codes bootstrap_labels")]
    [InlineData("raft", "self_addr bind_addr partner_addrs data_dir password")]
    [InlineData("citus", "group database")]
    public void Another_store_has_its_own_variables_and_no_others(string store, string keys)
    {
        var known = EnvironmentSchema.Agent.Where(
            variable => variable.Path.StartsWith(store + ".", StringComparison.Ordinal)).ToList();

        Assert.Equal(
            keys.Split(' ').Select(key => $"{store}.{key}").Order(StringComparer.Ordinal),
            known.Select(variable => variable.Path).Order(StringComparer.Ordinal));
        Assert.All(known, variable =>
            Assert.Equal(variable.Path.Replace('.', '_'), variable.Suffix, ignoreCase: true));
        Assert.DoesNotContain(EnvironmentSchema.Common, known.Contains);
    }

    [Fact]
    public void No_variable_stands_twice() =>
        Assert.Equal(
            EnvironmentSchema.Agent.Length, EnvironmentSchema.Agent.DistinctBy(variable => variable.Suffix).Count());
}
