using Xunit;

namespace Routing.Settings.Tests;

public sealed class SettingsLoader_puts_sources_together : IDisposable
{
    private readonly Scratch _scratch = new();
    private readonly SettingsReport _report = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void The_files_of_a_directory_are_merged_in_the_order_of_their_names_and_null_deletes()
    {
        _scratch.Write("20-site.yaml", "scope: b\nlog: {level: DEBUG, dir: null}\n");
        _scratch.Write("10-base.yml", "scope: a\nname: n1\nlog: {level: INFO, dir: /var/log, file_num: 3}\n");
        _scratch.Write("30-ignored.conf", "scope: c\n");

        var tree = Load(_scratch.Directory);

        Assert.Equal("""{"scope":"b","name":"n1","log":{"level":"DEBUG","file_num":3}}""", tree.Root.ToJsonString());
        Assert.Equal($"{_scratch.Directory}/20-site.yaml:2", tree.OriginOf("log.level"));
        Assert.Equal($"{_scratch.Directory}/10-base.yml:3", tree.OriginOf("log.file_num"));
    }

    [Fact]
    public void A_file_of_the_directory_that_is_no_mapping_is_an_error()
    {
        _scratch.Write("a.yml", "scope: a\n");
        _scratch.Write("b.yml", "- 1\n");

        Load(_scratch.Directory);

        Assert.Equal($"{_scratch.Directory}/b.yml: must be a mapping of keys to values",
            Assert.Single(_report.Errors).ToString());
    }

    [Fact]
    public void A_file_that_is_not_UTF_8_is_an_error()
    {
        var file = Path.Combine(_scratch.Directory, "a.yml");
        File.WriteAllBytes(file, [.. "scope: caf"u8, 0xe9, (byte)'\n']);

        Load(file);

        Assert.Equal($"{file}: is not UTF-8", Assert.Single(_report.Errors).ToString());
    }

    [Fact]
    public void The_environment_is_patched_over_the_file()
    {
        var file = _scratch.Write("a.yml", "scope: a\nname: n1\nrestapi: {listen: 127.0.0.1:8008, certfile: c}\n");

        var tree = Load(file, ("PATRONI_NAME", "n2"), ("PATRONI_RESTAPI_LISTEN", "127.0.0.2:8008"),
            ("PATRONI_SCOPE", ""), ("HOME", "/x"));

        Assert.Equal(
            """{"scope":"a","name":"n2","restapi":{"listen":"127.0.0.2:8008","certfile":"c"}}""",
            tree.Root.ToJsonString());
        Assert.Equal("PATRONI_RESTAPI_LISTEN", tree.OriginOf("restapi.listen"));
    }

    [Theory]
    [InlineData("ETCD3_HOSTS", "h1:2379, h2:2379", "etcd3.hosts", """["h1:2379","h2:2379"]""")]
    [InlineData("ETCD3_HOSTS", "['h1:2379', 'h2']", "etcd3.hosts", """["h1:2379","h2"]""")]
    [InlineData("ETCD3_HOSTS", "[::1]:2379,[::2]:2379", "etcd3.hosts", """["[::1]:2379","[::2]:2379"]""")]
    [InlineData("ETCD_HOSTS", "- h1\n- h2", "etcd.hosts", """["h1","h2"]""")]
    [InlineData("ETCD3_USERNAME", "u", "etcd3.username", "\"u\"")]
    [InlineData("ETCD3_USE_PROXIES", "on", "etcd3.use_proxies", "\"on\"")]
    [InlineData("ETCD3_SRV_SUFFIX", "x", "etcd3.srv_suffix", "\"x\"")]
    [InlineData("ETCD3_CACERT", "/ca", "etcd3.cacert", "\"/ca\"")]
    [InlineData("CONSUL_SERVICE_TAGS", "a,b", "consul.service_tags", """["a","b"]""")]
    [InlineData("KUBERNETES_LABELS", "app: pg, env: x", "kubernetes.labels", """{"app":"pg","env":"x"}""")]
    [InlineData("ZOOKEEPER_SET_ACLS", "{a: [ALL]}", "zookeeper.set_acls", """{"a":["ALL"]}""")]
    [InlineData("CITUS_GROUP", "0", "citus.group", "\"0\"")]
    [InlineData("LOGLEVEL", "DEBUG", "log.level", "\"DEBUG\"")]
    [InlineData("LOG_LEVEL", "WARN", "log.level", "\"WARN\"")]
    [InlineData("LOG_FORMAT", "%(message)s", "log.format", "\"%(message)s\"")]
    [InlineData("LOG_FORMAT", "[message, levelname: level]", "log.format", """["message",{"levelname":"level"}]""")]
    [InlineData("LOG_STATIC_FIELDS", "app: x", "log.static_fields", """{"app":"x"}""")]
    [InlineData("LOG_LOGGERS", "{urllib3: DEBUG}", "log.loggers", """{"urllib3":"DEBUG"}""")]
    [InlineData("LOG_MODE", "0640", "log.mode", "\"0640\"")]
    [InlineData("RESTAPI_USERNAME", "u", "restapi.authentication.username", "\"u\"")]
    [InlineData("RESTAPI_ALLOWLIST", "10.0.0.0/8,h", "restapi.allowlist", """["10.0.0.0/8","h"]""")]
    [InlineData("RESTAPI_HTTP_EXTRA_HEADERS", "X-A: 1", "restapi.http_extra_headers", """{"X-A":1}""")]
    [InlineData("CTL_PASSWORD", "p", "ctl.authentication.password", "\"p\"")]
    [InlineData("POSTGRESQL_DATA_DIR", "/d", "postgresql.data_dir", "\"/d\"")]
    [InlineData("POSTGRESQL_BIN_PG_ISREADY", "/x", "postgresql.bin_name.pg_isready", "\"/x\"")]
    [InlineData("REPLICATION_SSLMODE", "require", "postgresql.authentication.replication.sslmode", "\"require\"")]
    [InlineData("SUPERUSER_PASSWORD", "on", "postgresql.authentication.superuser.password", "\"on\"")]
    [InlineData("REWIND_CHANNEL_BINDING", "require", "postgresql.authentication.rewind.channel_binding", "\"require\"")]
    [InlineData("THREAD_POOL_SIZE", "9", "thread_pool_size", "\"9\"")]
    public void A_variable_stands_for_a_setting(string suffix, string text, string path, string json)
    {
        var tree = Load(null, ("PATRONI_" + suffix, text));

        var node = path.Split('.').Aggregate((System.Text.Json.Nodes.JsonNode?)tree.Root, (at, key) => at?[key]);
        Assert.Equal(json, node?.ToJsonString());
        Assert.Empty(_report.Errors);
        Assert.Empty(_report.Warnings);
    }

    [Fact]
    public void The_present_name_of_a_variable_wins_over_its_legacy_name()
    {
        var tree = Load(null, ("PATRONI_LOGLEVEL", "DEBUG"), ("PATRONI_LOG_LEVEL", "ERROR"));

        Assert.Equal("ERROR", tree.Root["log"]!["level"]!.GetValue<string>());
    }

    [Fact]
    public void A_variable_that_nobody_knows_is_named() =>
        Assert.Equal(
            "PATRONI_RESTAPI_LISTENS: this environment variable is not known and has no effect",
            WarningsOf(("PATRONI_RESTAPI_LISTENS", "x"), ("PATRONI_NAME", "n")).Single().ToString());

    [Fact]
    public void A_variable_of_the_wrong_kind_is_an_error()
    {
        Load(null, ("PATRONI_LOG_LOGGERS", "words alone: [x"));

        Assert.Equal(
            "PATRONI_LOG_LOGGERS: log.loggers: 'words alone: [x': must be a mapping (key: value, …)",
            Assert.Single(_report.Errors).ToString());
    }

    [Fact]
    public void A_whole_configuration_in_the_environment_makes_every_other_variable_void()
    {
        var tree = Load(null, ("PATRONI_CONFIGURATION", "scope: whole\n"), ("PATRONI_NAME", "n"));

        Assert.Equal("""{"scope":"whole"}""", tree.Root.ToJsonString());
        Assert.Equal("PATRONI_CONFIGURATION:1", tree.OriginOf("scope"));
    }

    [Fact]
    public void A_whole_configuration_in_the_environment_has_no_effect_beside_a_file()
    {
        var file = _scratch.Write("a.yml", "scope: file\n");

        var tree = Load(file, ("PATRONI_CONFIGURATION", "scope: whole\n"), ("PATRONI_NAME", "n"));

        Assert.Equal("""{"scope":"file","name":"n"}""", tree.Root.ToJsonString());
    }

    [Fact]
    public void A_file_that_does_not_exist_leaves_the_environment_alone_and_is_named()
    {
        var tree = Load("/nowhere/a.yml", ("PATRONI_NAME", "n"));

        Assert.Equal("""{"name":"n"}""", tree.Root.ToJsonString());
        Assert.StartsWith("/nowhere/a.yml: there is no such file", Assert.Single(_report.Warnings).ToString(),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_anywhere_is_an_error()
    {
        Load(null);

        Assert.Equal("PATRONI_*: the configuration is empty", Assert.Single(_report.Errors).ToString());
    }

    [Fact]
    public void Variables_leave_the_process_when_they_are_taken()
    {
        Environment.SetEnvironmentVariable("ROUTING_TEST_TAKEN_SCOPE", "s");
        Environment.SetEnvironmentVariable("ROUTING_TEST_TAKEN_NAME", "");

        var environment = SettingsEnvironment.TakeFromProcess("ROUTING_TEST_TAKEN_");

        Assert.Equal("s", Assert.Single(environment.Values, pair => pair.Key == "SCOPE").Value);
        Assert.Null(Environment.GetEnvironmentVariable("ROUTING_TEST_TAKEN_SCOPE"));
    }

    private System.Collections.Immutable.ImmutableArray<SettingsProblem> WarningsOf(
        params (string Name, string Value)[] variables)
    {
        Load(null, variables);
        return _report.Warnings;
    }

    private SettingsTree Load(string? path, params (string Name, string Value)[] variables) => SettingsLoader.Load(
        path,
        SettingsEnvironment.From("PATRONI_",
            variables.Select(variable => KeyValuePair.Create(variable.Name, variable.Value))),
        EnvironmentSchema.Agent,
        _report);
}
