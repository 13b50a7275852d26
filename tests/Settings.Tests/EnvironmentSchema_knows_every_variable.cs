using Xunit;

namespace Routing.Settings.Tests;

public class EnvironmentSchema_knows_every_variable
{
    private static readonly string[] s_stores = ["etcd", "etcd3", "consul", "zookeeper", "exhibitor", "kubernetes",
        "raft", "citus"];

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

    [Fact]
    public void The_suffixes_of_a_store_hold_for_each_of_them()
    {
        const string suffixes =
            "HOST HOSTS PORT USE_PROXIES PROTOCOL SRV SRV_SUFFIX URL PROXY CACERT CERT KEY VERIFY TOKEN CHECKS DC "
                + "CONSISTENCY "
            + "REGISTER_SERVICE SERVICE_CHECK_INTERVAL SERVICE_CHECK_TLS_SERVER_NAME SERVICE_TAGS NAMESPACE CONTEXT "
            + "USE_ENDPOINTS "
            + "SCOPE_LABEL ROLE_LABEL POD_IP PORTS LABELS BYPASS_API_SERVICE RETRIABLE_HTTP_CODES KEY_PASSWORD "
            + "USE_SSL SET_ACLS GROUP "
            + "DATABASE LEADER_LABEL_VALUE FOLLOWER_LABEL_VALUE STANDBY_LEADER_LABEL_VALUE TMP_ROLE_LABEL AUTH_DATA "
            + "BOOTSTRAP_LABELS";

        foreach (var store in s_stores)
        {
            foreach (var suffix in suffixes.Split(' '))
            {
                var variable = Assert.Single(
                    EnvironmentSchema.Common, known => known.Suffix == $"{store.ToUpperInvariant()}_{suffix}");
                Assert.Equal($"{store}.{suffix}", variable.Path, ignoreCase: true);
            }
        }
    }
}
