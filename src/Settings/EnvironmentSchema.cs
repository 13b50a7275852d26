using System.Collections.Immutable;

namespace Routing.Settings;

/// <summary>How the text of an environment variable becomes a value.</summary>
public enum EnvironmentKind
{
    /// <summary>As it is; a reader understands numbers and booleans in text.</summary>
    Text,

    /// <summary>A YAML list, or words separated by commas.</summary>
    List,

    /// <summary>A YAML mapping, with or without braces.</summary>
    Map,

    /// <summary>A YAML list when it looks like one, else text.</summary>
    TextOrList,
}

/// <summary>One variable: its name without the prefix, and the setting that it stands for.</summary>
/// <param name="Suffix">For example <c>RESTAPI_LISTEN</c>.</param>
/// <param name="Path">For example <c>restapi.listen</c>.</param>
/// <param name="Kind">How its text is read.</param>
public sealed record EnvironmentVariable(string Suffix, string Path, EnvironmentKind Kind = EnvironmentKind.Text);

/// <summary>The variables that each program understands.</summary>
public static class EnvironmentSchema
{
    private static readonly string[] s_etcdKeys =
    [
        "host", "port", "use_proxies", "protocol", "srv", "srv_suffix", "url", "proxy", "username", "password",
        "cacert", "cert", "key",
    ];

    private static readonly string[] s_userKeys =
    [
        "username", "password", "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslcrldir",
        "gssencmode",
        "channel_binding", "sslnegotiation",
    ];

    /// <summary>Scope, namespace, and the section of etcd by both its names: what every program takes.</summary>
    public static ImmutableArray<EnvironmentVariable> Common { get; } =
    [
        .. Of("", ["scope", "namespace"]),
        .. Of("etcd", s_etcdKeys), .. Of("etcd", ["hosts"], EnvironmentKind.List),
        .. Of("etcd3", s_etcdKeys), .. Of("etcd3", ["hosts"], EnvironmentKind.List),
    ];

    /// <summary>
    /// The sections of other stores, which Patroni's files may hold beside that of etcd: they are known, and refused or
    /// named in a warning.
    /// </summary>
    private static ImmutableArray<EnvironmentVariable> OtherStores { get; } =
    [
        .. Of("consul", ["host", "port", "url", "scheme", "token", "verify", "cacert", "cert", "key", "dc",
            "consistency", "register_service", "service_check_interval", "service_check_tls_server_name"]),
        .. Of("consul", ["checks", "service_tags"], EnvironmentKind.List),
        .. Of("zookeeper", ["use_ssl", "cacert", "cert", "key", "key_password", "verify"]),
        .. Of("zookeeper", ["hosts"], EnvironmentKind.List),
        .. Of("zookeeper", ["set_acls", "auth_data"], EnvironmentKind.Map),
        .. Of("exhibitor", ["port"]),
        .. Of("exhibitor", ["hosts"], EnvironmentKind.List),
        .. Of("kubernetes", ["namespace", "context", "use_endpoints", "scope_label", "role_label",
            "leader_label_value", "follower_label_value", "standby_leader_label_value", "tmp_role_label", "pod_ip",
            "bypass_api_service", "cacert"]),
        .. Of("kubernetes", ["ports", "retriable_http_codes"], EnvironmentKind.List),
        .. Of("kubernetes", ["labels", "bootstrap_labels"], EnvironmentKind.Map),
        .. Of("raft", ["self_addr", "bind_addr", "data_dir", "password"]),
        .. Of("raft", ["partner_addrs"], EnvironmentKind.List),
        .. Of("citus", ["group", "database"]),
    ];

    /// <summary>The variables that the agent takes.</summary>
    public static ImmutableArray<EnvironmentVariable> Agent { get; } =
    [
        .. Common,
        .. OtherStores,
        .. Of("", ["name", "site", "thread_pool_size", "thread_stack_size"]),
        // The legacy spellings stand before the present ones, which win.
        new("LOGLEVEL", "log.level"), new("LOGFORMAT", "log.format", EnvironmentKind.TextOrList),
        new("LOG_DATEFMT", "log.dateformat"),
        .. Of("log", ["type", "level", "traceback_level", "dateformat", "max_queue_size", "dir", "mode", "file_num",
            "file_size",
            "deduplicate_heartbeat_logs"]),
        new("LOG_FORMAT", "log.format", EnvironmentKind.TextOrList),
        new("LOG_STATIC_FIELDS", "log.static_fields", EnvironmentKind.Map),
        new("LOG_LOGGERS", "log.loggers", EnvironmentKind.Map),
        .. Of("restapi", ["listen", "connect_address", "certfile", "keyfile", "keyfile_password", "cafile", "ciphers",
            "verify_client",
            "allowlist_include_members", "request_queue_size", "server_tokens", "thread_pool_size"]),
        new("RESTAPI_ALLOWLIST", "restapi.allowlist", EnvironmentKind.List),
        new("RESTAPI_HTTP_EXTRA_HEADERS", "restapi.http_extra_headers", EnvironmentKind.Map),
        new("RESTAPI_HTTPS_EXTRA_HEADERS", "restapi.https_extra_headers", EnvironmentKind.Map),
        new("RESTAPI_USERNAME", "restapi.authentication.username"),
        new("RESTAPI_PASSWORD", "restapi.authentication.password"),
        .. Of("ctl", ["insecure", "cacert", "certfile", "keyfile", "keyfile_password"]),
        new("CTL_USERNAME", "ctl.authentication.username"), new("CTL_PASSWORD", "ctl.authentication.password"),
        .. Of("postgresql",
            ["listen", "connect_address", "proxy_address", "data_dir", "config_dir", "bin_dir", "pgpass"]),
        .. new[] { "pg_ctl", "initdb", "pg_controldata", "pg_basebackup", "postgres", "pg_isready", "pg_rewind" }
            .Select(
                program => new EnvironmentVariable(
                    $"POSTGRESQL_BIN_{program.ToUpperInvariant()}", $"postgresql.bin_name.{program}")),
        .. new[] { "superuser", "replication", "rewind" }.SelectMany(user => s_userKeys.Select(key =>
            new EnvironmentVariable($"{user}_{key}".ToUpperInvariant(), $"postgresql.authentication.{user}.{key}"))),
    ];

    private static IEnumerable<EnvironmentVariable> Of(
        string section, string[] keys, EnvironmentKind kind = EnvironmentKind.Text) =>
        keys.Select(key => new EnvironmentVariable(
            (section.Length == 0 ? key : $"{section}_{key}").ToUpperInvariant(), SettingsTree.Join(section, key),
            kind));
}
