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
    private static readonly string[] s_stores = ["etcd", "etcd3", "consul", "zookeeper", "exhibitor", "kubernetes",
        "raft", "citus"];

    private static readonly string[] s_storeTexts =
    [
        "HOST", "PORT", "USE_PROXIES", "PROTOCOL", "SRV", "SRV_SUFFIX", "URL", "PROXY", "USERNAME", "PASSWORD",
        "CACERT", "CERT", "KEY",
        "VERIFY", "TOKEN", "DC", "CONSISTENCY", "REGISTER_SERVICE", "SERVICE_CHECK_INTERVAL",
        "SERVICE_CHECK_TLS_SERVER_NAME", "SCHEME",
        "NAMESPACE", "CONTEXT", "USE_ENDPOINTS", "SCOPE_LABEL", "ROLE_LABEL", "POD_IP", "BYPASS_API_SERVICE",
        "KEY_PASSWORD", "USE_SSL",
        "GROUP", "DATABASE", "LEADER_LABEL_VALUE", "FOLLOWER_LABEL_VALUE", "STANDBY_LEADER_LABEL_VALUE",
        "TMP_ROLE_LABEL", "SELF_ADDR",
        "BIND_ADDR", "DATA_DIR",
    ];

    private static readonly string[] s_storeLists =
        ["HOSTS", "PORTS", "CHECKS", "SERVICE_TAGS", "RETRIABLE_HTTP_CODES", "PARTNER_ADDRS"];

    private static readonly string[] s_storeMaps = ["LABELS", "SET_ACLS", "AUTH_DATA", "BOOTSTRAP_LABELS"];

    private static readonly string[] s_userKeys =
    [
        "username", "password", "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslcrldir",
        "gssencmode",
        "channel_binding", "sslnegotiation",
    ];

    /// <summary>Scope, namespace, and the sections of the DCS: what every program takes.</summary>
    public static ImmutableArray<EnvironmentVariable> Common { get; } =
    [
        .. Of("", ["scope", "namespace"]),
        .. s_stores.SelectMany(store =>
            s_storeTexts.Select(suffix => Store(store, suffix, EnvironmentKind.Text))
                .Concat(s_storeLists.Select(suffix => Store(store, suffix, EnvironmentKind.List)))
                .Concat(s_storeMaps.Select(suffix => Store(store, suffix, EnvironmentKind.Map)))),
    ];

    /// <summary>What the agent takes.</summary>
    public static ImmutableArray<EnvironmentVariable> Agent { get; } =
    [
        .. Common,
        .. Of("", ["name", "thread_pool_size", "thread_stack_size"]),
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

    private static IEnumerable<EnvironmentVariable> Of(string section, string[] keys) =>
        keys.Select(key => new EnvironmentVariable(
            (section.Length == 0 ? key : $"{section}_{key}").ToUpperInvariant(), SettingsTree.Join(section, key)));

    private static EnvironmentVariable Store(string store, string suffix, EnvironmentKind kind) =>
        new($"{store.ToUpperInvariant()}_{suffix}", $"{store}.{Lower(suffix)}", kind);

    private static string Lower(string suffix) =>
        string.Create(suffix.Length, suffix, (span, text) => text.AsSpan().ToLowerInvariant(span));
}
