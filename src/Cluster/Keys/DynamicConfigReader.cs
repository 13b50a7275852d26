using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster.Text;

namespace Routing.Cluster.Keys;

/// <summary>Reads the dynamic configuration, value by value.</summary>
public static class DynamicConfigReader
{
    /// <summary>
    /// Reads the object. Never throws for a value: see <see cref="DynamicConfig.Problems"/>.
    /// </summary>
    /// <param name="raw">A JSON object.</param>
    /// <param name="modRevision">The revision of its last write.</param>
    public static DynamicConfig Read(JsonElement raw, long modRevision)
    {
        var problems = new List<string>();
        if (raw.ValueKind != JsonValueKind.Object)
        {
            problems.Add("The configuration is not a JSON object; every default holds.");
            raw = JsonElement.Parse("{}");
        }
        var root = new ObjectReader(JsonText.Readable(raw), "", problems);
        var postgresql = root.Object("postgresql");
        var slots = SlotConfigReader.Read(root, problems);
        var config = new DynamicConfig
        {
            Raw = root.Json,
            ModRevision = modRevision,
            Timing = new Timing(
                LeaseSeconds(root, "ttl", Timing.Default.Ttl),
                LeaseSeconds(root, "loop_wait", Timing.Default.LoopWait),
                LeaseSeconds(root, "retry_timeout", Timing.Default.RetryTimeout)),
            Pause = root.Boolean("pause", false),
            MaximumLagOnFailoverBytes = Bytes(root, "maximum_lag_on_failover", 1_048_576, 0),
            MaximumLagOnSyncNodeBytes = Bytes(root, "maximum_lag_on_syncnode", -1, -1),
            CheckTimeline = root.Boolean("check_timeline", false),
            PrimaryStartTimeout = Seconds(root, NewName(root, "primary_start_timeout", "master_start_timeout"), 300),
            PrimaryStopTimeout = Seconds(root, NewName(root, "primary_stop_timeout", "master_stop_timeout"), 0),
            PrimaryRaceBackoff = Seconds(root, "primary_race_backoff", 0),
            SwitchoverGrace = Seconds(root, "switchover_grace", 2),
            SwitchoverStrict = root.Boolean("switchover_strict", false),
            MaximumHistoryLines =
                (int)root.Integer("max_timelines_history", 0, 0, int.MaxValue, "a number of lines, 0 or more"),
            SynchronousMode = Mode(root),
            SynchronousModeStrict = root.Boolean("synchronous_mode_strict", false),
            SynchronousNodeCount =
                (int)root.Integer("synchronous_node_count", 1, 1, int.MaxValue, "a number of standbys, 1 or more"),
            FailsafeMode = root.Boolean("failsafe_mode", false),
            MemberSlotsTtl = Seconds(root, "member_slots_ttl", 1800),
            PermanentSlots = slots.Permanent,
            IgnoreSlots = slots.Ignored,
            StandbyCluster = StandbyCluster(root),
            PromoteBesideRemote = root.Boolean("routing_promote_beside_remote", false),
            Health = root.Object("routing_health") is { } health ? Health(health) : HealthConfig.Default,
            Postgresql = postgresql?.Json ?? default,
            UseSlots = postgresql?.Boolean("use_slots", true) ?? true,
            UseRewind = postgresql?.Boolean("use_pg_rewind", false) ?? false,
        };
        return config with { Problems = [.. problems] };   // last: every reader above may have added one
    }

    /// <summary>
    /// A configuration as it comes into force after another one: where a single value is wrong the one before stays, so
    /// that a typing error neither switches synchronous replication off nor ends a pause.
    /// </summary>
    /// <param name="config">The new one.</param>
    /// <param name="before">What is in force.</param>
    /// <returns>
    /// With <see cref="DynamicConfig.Raw"/> as it is in force, and the problems of <paramref name="config"/>.
    /// </returns>
    public static DynamicConfig After(this DynamicConfig config, DynamicConfig before)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(before);
        if (config.Problems.IsEmpty)
        {
            return config;
        }
        var stays = config.Raw.EnumerateObject()
            .Where(
                field => field.Value.ValueKind is not (JsonValueKind.Object or JsonValueKind.Array)
                    && IsWrong(field.Name, field.Value))
            .Select(field => field.Name).ToList();
        var patch = JsonText.Write(writer =>
        {
            writer.WriteStartObject();
            foreach (var name in stays)
            {
                writer.WritePropertyName(name);
                (before.Raw.TryGetProperty(name, out var value) ? value : JsonElement.Parse("null")).WriteTo(writer);
            }
            writer.WriteEndObject();
        });
        return KeyWriter.PatchConfig(config.Raw, JsonElement.Parse(patch)) is { } merged
            ? Read(JsonElement.Parse(merged), config.ModRevision) with
            {
                Problems = [.. config.Problems, .. stays.Select(name => $"{name} stays as it was before.")],
            }
            : config;
    }

    private static bool IsWrong(string name, JsonElement value)
    {
        var alone = JsonText.Write(writer =>
        {
            writer.WriteStartObject();
            writer.WritePropertyName(name);
            value.WriteTo(writer);
            writer.WriteEndObject();
        });
        return !Read(JsonElement.Parse(alone), 0).Problems.IsEmpty;
    }

    private static HealthConfig Health(ObjectReader section)
    {
        const string policy = "policy";
        var (says, isKnown) = section.TryGet(policy, out var value) && value.ValueKind == JsonValueKind.String
            ? (value.GetString(), value.GetString() is "report" or "failover")
            : ("report", value.ValueKind == JsonValueKind.Undefined);
        if (!isKnown)
        {
            section.Complain(policy, value, "report or failover", "report holds");
        }
        return new HealthConfig
        {
            Policy = isKnown && says == "failover" ? HealthPolicy.Failover : HealthPolicy.Report,
            Interval = Seconds(section, "interval", 10),
            Patience = TimeSpan.FromSeconds(section.Integer("patience", 60, 10, 86_400, "10 to 86400 seconds")),
            MinimumFreeBytes = Bytes(section, "minimum_free", 32 << 20, 0),
        };
    }

    private static string NewName(ObjectReader root, string name, string oldName) =>
        root.TryGet(name, out _) || !root.TryGet(oldName, out _) ? name : oldName;

    /// <summary>
    /// Plain seconds, no units: the other members of a mixed cluster do not read units here, and all must agree on the
    /// lease. Values below the minimum are kept, <see cref="Timing.Corrected"/> raises them.
    /// </summary>
    private static TimeSpan LeaseSeconds(ObjectReader root, string name, TimeSpan fallback) => TimeSpan.FromSeconds(
        root.Integer(name, (long)fallback.TotalSeconds, int.MinValue, int.MaxValue, "a whole number of seconds"));

    private static TimeSpan Seconds(ObjectReader root, string name, long fallback) => TimeSpan.FromSeconds(
        WithUnit(root, name, fallback, 0, int.MaxValue, PostgresUnits.TryParseSeconds,
            "a time of 0 s or more, such as 300 or \"5min\""));

    private static long Bytes(ObjectReader root, string name, long fallback, long least) => WithUnit(
        root, name, fallback, least, long.MaxValue, PostgresUnits.TryParseBytes,
        $"a number of bytes, {least} or more, such as 1048576 or \"1MB\"");

    private delegate bool Parser(string? text, out long result);

    private static long WithUnit(
        ObjectReader root, string name, long fallback, long least, long most, Parser parse, string allowed)
    {
        if (!root.TryGet(name, out var value))
        {
            return fallback;
        }
        var known = value.ValueKind == JsonValueKind.String
            ? parse(value.GetString(), out var result)
            : Scalars.TryInteger(value, out result);
        if (known && result >= least && result <= most)
        {
            return result;
        }
        root.Complain(name, value, allowed, $"{fallback} holds");
        return fallback;
    }

    private static SynchronousMode Mode(ObjectReader root)
    {
        const string name = "synchronous_mode";
        if (!root.TryGet(name, out var value))
        {
            return SynchronousMode.Off;
        }
        if (value.ValueKind == JsonValueKind.String
            && string.Equals(value.GetString()?.Trim(), "quorum", StringComparison.OrdinalIgnoreCase))
        {
            return SynchronousMode.Quorum;
        }
        if (Scalars.TryBoolean(value, out var on))
        {
            return on ? SynchronousMode.Priority : SynchronousMode.Off;
        }
        root.Complain(name, value, "on, off or quorum", "off holds");
        return SynchronousMode.Off;
    }

    /// <summary>
    /// A wrong host, port or restore_command still makes this a standby cluster: the opposite would promote it for a
    /// typing error.
    /// </summary>
    private static StandbyClusterConfig? StandbyCluster(ObjectReader root)
    {
        if (root.Object("standby_cluster") is not { } section
            || !(Says(section, "host") || Says(section, "port") || Says(section, "restore_command")))
        {
            return null;
        }
        var ports = Ports(section);
        return new StandbyClusterConfig(
            NonEmpty(section, "host"),
            ports.Length == 1 ? ports[0] : null,
            NonEmpty(section, "restore_command"),
            NonEmpty(section, "primary_slot_name"),
            Texts(section, "create_replica_methods"),
            NonEmpty(section, "archive_cleanup_command"),
            Delay(section))
        {
            Ports = ports.Length > 1 ? ports : [],
        };
    }

    /// <summary>One port, or as many as there are hosts, separated by commas.</summary>
    private static ImmutableArray<int> Ports(ObjectReader section)
    {
        const string name = "port";
        const string allowed = "a TCP port, 1 to 65535, or one for each host";
        if (!section.TryGet(name, out var value))
        {
            return [];
        }
        if (value.ValueKind == JsonValueKind.String && value.GetString()!.Contains(',', StringComparison.Ordinal))
        {
            var texts = value.GetString()!.Split(',', StringSplitOptions.TrimEntries);
            var hosts = (NonEmpty(section, "host") ?? "").Split(',').Length;
            var ports = texts.Select(text => int.TryParse(text, out var port) && port is >= 1 and <= 65_535 ? port : 0)
                .ToImmutableArray();
            if (ports.Length == hosts && !ports.Contains(0))
            {
                return ports;
            }
            section.Complain(name, value, allowed, "5432 holds");
            return [];
        }
        return section.Integer(name, 0, 1, 65_535, allowed) is var single and not 0 ? [(int)single] : [];
    }

    private static bool Says(ObjectReader section, string name) =>
        section.TryGet(name, out var value) && EffectiveTags.IsTruthy(value);

    private static string? NonEmpty(ObjectReader section, string name) =>
        section.Text(name) is { Length: > 0 } text ? text : null;

    /// <summary>A number is fine as well: PostgreSQL reads it as milliseconds.</summary>
    private static string? Delay(ObjectReader section)
    {
        const string name = "recovery_min_apply_delay";
        return section.TryGet(name, out var value) && value.ValueKind == JsonValueKind.Number
            ? value.GetRawText()
            : NonEmpty(section, name);
    }

    private static ImmutableArray<string> Texts(ObjectReader section, string name)
    {
        if (!section.TryGet(name, out var value))
        {
            return [];
        }
        if (value.ValueKind == JsonValueKind.Array
            && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String))
        {
            return [.. value.EnumerateArray().Select(item => item.GetString()!)];
        }
        section.Complain(name, value, "a list of texts", "it is ignored");
        return [];
    }
}
