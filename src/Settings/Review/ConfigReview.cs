using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Cluster.Text;
using Routing.Settings.Postgres;

namespace Routing.Settings.Review;

/// <summary>
/// What there is to say about a change of the dynamic configuration before it is written: the one judge of all that
/// writes it.
/// </summary>
/// <remarks>
/// Only what is wrong for certain is a problem. What Patroni keeps and this program does not know is a remark: it may
/// be meant for another tool.
/// </remarks>
/// <param name="Problems">
/// What is wrong and was not wrong before, one sentence each: path, value, what is allowed.
/// </param>
/// <param name="Remarks">What may be meant so, and may be a mistake.</param>
/// <param name="RestartParameters">Parameters of PostgreSQL that change with a restart only.</param>
public sealed record ConfigReview(
    ImmutableArray<string> Problems, ImmutableArray<string> Remarks, ImmutableArray<string> RestartParameters)
{
    private static readonly string[] s_names =
    [
        "ttl", "loop_wait", "retry_timeout", "maximum_lag_on_failover", "maximum_lag_on_syncnode",
        "max_timelines_history", "primary_start_timeout", "master_start_timeout", "primary_stop_timeout",
        "master_stop_timeout", "primary_race_backoff", "synchronous_mode", "synchronous_mode_strict",
        "synchronous_node_count", "failsafe_mode", "check_timeline", "pause", "member_slots_ttl", "slots",
        "permanent_slots", "permanent_replication_slots", "ignore_slots", "standby_cluster", "postgresql",
        "routing_health", "routing_promote_beside_remote", "switchover_grace", "switchover_strict",
    ];

    private static readonly string[] s_postgresqlNames =
    [
        "parameters", "parameters_primary", "parameters_replica", "parameters_standby_leader", "pg_hba",
        "pg_hba_primary", "pg_hba_replica", "pg_hba_standby_leader", "pg_ident", "pg_ident_primary",
        "pg_ident_replica", "pg_ident_standby_leader", "recovery_conf", "custom_conf", "callbacks",
        "create_replica_methods", "create_replica_method", "basebackup", "rewind", "use_pg_rewind",
        "remove_data_directory_on_rewind_failure", "remove_data_directory_on_diverged_timelines", "use_unix_socket",
        "use_unix_socket_repl", "pg_ctl_timeout", "krbsrvname", "pre_promote", "before_stop", "use_slots",
    ];

    /// <summary>Names of before that the server still takes, though its catalogue does not show them.</summary>
    private static readonly string[] s_formerNames = ["sort_mem", "vacuum_mem", "force_parallel_mode"];

    /// <summary>Parameters that the agent sets itself, or that belong to one member.</summary>
    private static readonly string[] s_controlled =
        ["listen_addresses", "port", "cluster_name", "hot_standby", "primary_conninfo", "primary_slot_name",
            "synchronous_standby_names"];

    /// <summary>
    /// The parameters of PostgreSQL 9.6 to 19 that take effect at a start, for where no server can be asked.
    /// </summary>
    private static readonly HashSet<string> s_atStart = new(StringComparer.OrdinalIgnoreCase)
    {
        "allow_system_table_mods", "archive_mode", "autovacuum_freeze_max_age", "autovacuum_max_workers",
        "autovacuum_multixact_freeze_max_age", "autovacuum_worker_slots", "bonjour", "bonjour_name", "cluster_name",
        "commit_timestamp_buffers", "config_file", "data_directory", "data_sync_retry", "debug_io_direct",
        "dynamic_shared_memory_type", "event_source", "external_pid_file", "hba_file", "hosts_file", "hot_standby",
        "huge_page_size", "huge_pages", "ident_file", "ignore_invalid_pages", "io_max_combine_limit",
        "io_max_concurrency", "io_method",
        "jit_provider", "listen_addresses", "logging_collector", "max_active_replication_origins", "max_connections",
        "max_files_per_process", "max_locks_per_transaction", "max_logical_replication_workers",
        "max_notify_queue_pages", "max_pred_locks_per_transaction", "max_prepared_transactions",
        "max_repack_replication_slots", "max_replication_slots", "max_wal_senders", "max_worker_processes",
        "min_dynamic_shared_memory",
        "multixact_member_buffers", "multixact_offset_buffers", "notify_buffers", "old_snapshot_threshold", "port",
        "recovery_target", "recovery_target_action", "recovery_target_inclusive", "recovery_target_lsn",
        "recovery_target_name", "recovery_target_time", "recovery_target_timeline", "recovery_target_xid",
        "reserved_connections", "serializable_buffers", "shared_buffers", "shared_memory_type",
        "shared_preload_libraries", "subtransaction_buffers", "superuser_reserved_connections",
        "trace_connection_negotiation",
        "track_activity_query_size", "track_commit_timestamp", "transaction_buffers", "unix_socket_directories",
        "unix_socket_group", "unix_socket_permissions", "wal_buffers", "wal_decode_buffer_size", "wal_level",
        "wal_log_hints",
    };

    /// <summary>Compares two configurations. Pure.</summary>
    /// <param name="before">What holds.</param>
    /// <param name="after">What shall hold.</param>
    /// <param name="catalogue">The server's parameters by name, or null where no server could be asked.</param>
    public static ConfigReview Of(
        JsonElement before, JsonElement after, IReadOnlyDictionary<string, ParameterDefinition>? catalogue = null)
    {
        var old = DynamicConfigReader.Read(before, 0);
        var wanted = DynamicConfigReader.Read(after, 0);
        var problems = ProblemsOf(wanted).Except(ProblemsOf(old)).ToList();
        var remarks = new List<string>();
        if (wanted.Timing != old.Timing)
        {
            ReviewTiming(wanted, problems, remarks);
        }
        ReviewNames(old.Raw, wanted.Raw, problems, remarks);
        var changed = ChangedParameters(old, wanted).ToArray();
        foreach (var (name, value) in changed.Where(one => one.Value.ValueKind != JsonValueKind.Undefined))
        {
            ReviewParameter(name, value, catalogue, problems, remarks);
        }
        var atStart = changed.Select(one => one.Name).Where(name =>
            catalogue is not null && catalogue.TryGetValue(name, out var definition)
                ? definition.NeedsRestart
                : s_atStart.Contains(name));
        return new ConfigReview([.. problems], [.. remarks], [.. atStart.Order(StringComparer.Ordinal)]);
    }

    /// <summary>Whether a change touches parameters of PostgreSQL, so that a server has to be asked.</summary>
    public static bool ChangesParameters(JsonElement before, JsonElement after) =>
        ChangedParameters(DynamicConfigReader.Read(before, 0), DynamicConfigReader.Read(after, 0)).Any();

    /// <summary>What no member can use, whatever was there before.</summary>
    private static IEnumerable<string> ProblemsOf(DynamicConfig config)
    {
        var least = Timing.FencedMinimum;
        var tooSmall = new[]
        {
            TooSmall("ttl", config.Timing.Ttl, least.Ttl),
            TooSmall("loop_wait", config.Timing.LoopWait, least.LoopWait),
            TooSmall("retry_timeout", config.Timing.RetryTimeout, least.RetryTimeout),
        };
        return [.. config.Problems, .. tooSmall.OfType<string>(), .. DynamicPostgresSection.ProblemsOf(config)];
    }

    private static string? TooSmall(string key, TimeSpan value, TimeSpan least) =>
        value >= least ? null : string.Create(
            CultureInfo.InvariantCulture,
            $"{key} is {value.TotalSeconds}, but must be at least {least.TotalSeconds} seconds.");

    /// <summary>
    /// Three times that are all written and do not fit together are a mistake. Where one is not written, Patroni bends
    /// what holds in its place: its own manual shows such a request, which changes two.
    /// </summary>
    private static void ReviewTiming(DynamicConfig config, List<string> problems, List<string> remarks)
    {
        var timing = config.Timing;
        if (timing.Corrected(Timing.FencedMinimum) is var corrected && corrected != timing)
        {
            var rule = $"{Text(timing)} do not fit together: loop_wait + 2 × retry_timeout must not exceed ttl";
            if (!((string[])["ttl", "loop_wait", "retry_timeout"]).All(name => config.Raw.TryGetProperty(name, out _)))
            {
                remarks.Add($"{rule}; they are taken as {Text(corrected)}.");
            }
            else if (!problems.Exists(known => known.Contains("but must be at least", StringComparison.Ordinal)))
            {
                problems.Add($"{rule}.");
            }
        }
        else if (timing.Corrected(Timing.CommonMinimum) != timing)
        {
            remarks.Add(
                "A ttl below 20 s, or a retry_timeout below 3 s, holds only where every member runs routing-agent and "
                    + "has its fence.");
        }
    }

    private static string Text(Timing timing) => string.Create(
        CultureInfo.InvariantCulture,
        $"ttl {timing.Ttl.TotalSeconds}, loop_wait {timing.LoopWait.TotalSeconds}, retry_timeout "
            + $"{timing.RetryTimeout.TotalSeconds}");

    private static void ReviewNames(JsonElement before, JsonElement after, List<string> problems, List<string> remarks)
    {
        foreach (var name in after.EnumerateObject().Select(field => field.Name)
            .Where(name => !s_names.Contains(name, StringComparer.Ordinal) && !before.TryGetProperty(name, out _)))
        {
            if (NearestName.Of(name, s_names) is { } meant)
            {
                problems.Add($"{name} is no setting; {meant} is.");
            }
            else
            {
                remarks.Add($"{name} is no setting of the agent: it is kept, and nothing reads it.");
            }
        }
        if (!after.TryGetProperty("postgresql", out var postgresql) || postgresql.ValueKind != JsonValueKind.Object)
        {
            return;
        }
        remarks.AddRange(DynamicPostgresSection.LocalNames
            .Where(name => postgresql.TryGetProperty(name, out _) && !Has(before, "postgresql", name))
            .Select(name => $"postgresql.{name} belongs into each member's own file; here it has no effect."));
        const string repl = "use_unix_socket_repl";
        if (postgresql.TryGetProperty(repl, out _) && !Has(before, "postgresql", repl))
        {
            remarks.Add($"postgresql.{repl} has no effect: {PostgresSectionReader.NoReplicationToItself}.");
        }
        foreach (var field in postgresql.EnumerateObject().Where(field =>
            field.Value.ValueKind != JsonValueKind.Object && !Has(before, "postgresql", field.Name)
                && !s_postgresqlNames.Contains(field.Name, StringComparer.Ordinal)
                && !DynamicPostgresSection.LocalNames.Contains(field.Name)))
        {
            remarks.Add(NearestName.Of(field.Name, s_postgresqlNames) is { } meant
                ? $"postgresql.{field.Name} is no setting; {meant} is. It is kept, and nothing reads it."
                : $"postgresql.{field.Name} is no setting of the agent: it is kept, and nothing reads it.");
        }
    }

    private static bool Has(JsonElement json, string outer, string inner) =>
        json.TryGetProperty(outer, out var section) && section.ValueKind == JsonValueKind.Object
            && section.TryGetProperty(inner, out _);

    /// <summary>The parameters that differ, with their new value; undefined for one that goes.</summary>
    private static IEnumerable<(string Name, JsonElement Value)> ChangedParameters(
        DynamicConfig before, DynamicConfig after)
    {
        var old = Parameters(before);
        var wanted = Parameters(after);
        return from name in old.Keys.Union(wanted.Keys, StringComparer.OrdinalIgnoreCase).Order(StringComparer.Ordinal)
               let was = old.GetValueOrDefault(name)
               let becomes = wanted.GetValueOrDefault(name)
               where was.ToString() != becomes.ToString()
                   || was.ValueKind == JsonValueKind.Undefined != (becomes.ValueKind == JsonValueKind.Undefined)
               select (name, becomes);
    }

    private static Dictionary<string, JsonElement> Parameters(DynamicConfig config)
    {
        var parameters = new Dictionary<string, JsonElement>(StringComparer.OrdinalIgnoreCase);
        if (config.Postgresql.ValueKind == JsonValueKind.Object
            && config.Postgresql.TryGetProperty("parameters", out var section)
            && section.ValueKind == JsonValueKind.Object)
        {
            foreach (var field in section.EnumerateObject())
            {
                parameters[field.Name] = field.Value;
            }
        }
        return parameters;
    }

    private static void ReviewParameter(
        string name, JsonElement value, IReadOnlyDictionary<string, ParameterDefinition>? catalogue,
        List<string> problems, List<string> remarks)
    {
        var path = $"postgresql.parameters.{name}";
        if (s_controlled.Contains(name, StringComparer.OrdinalIgnoreCase))
        {
            remarks.Add($"{path} is set by the agent: what stands here has no effect.");
        }
        // All members must agree on a controlled parameter, and it has bounds of its own. Those of recovery had other
        // names in former versions.
        if (catalogue is null || ControlledParameters.Contains(name) || RecoveryParameterNames.All.Contains(name)
            || s_formerNames.Contains(name, StringComparer.OrdinalIgnoreCase)
            || problems.Exists(known => known.StartsWith($"{path}: ", StringComparison.Ordinal)))
        {
            return;
        }
        if (catalogue.TryGetValue(name, out var definition))
        {
            if (definition.ProblemWith(value) is { } problem)
            {
                problems.Add($"{path} is {JsonText.Quote(value)}, but {problem}.");
            }
        }
        // a name with a dot belongs to an extension, which may not be loaded
        else if (!name.Contains('.', StringComparison.Ordinal))
        {
            var meant = NearestName.Of(name, catalogue.Keys) is { } nearest ? $"; {nearest} is" : "";
            problems.Add($"{path} is no parameter of this server{meant}.");
        }
    }
}
