using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Routing.Settings.Postgres;

/// <summary>Reads the parts of a <c>postgresql</c> section, local or dynamic.</summary>
public static class PostgresSectionReader
{
    /// <summary>Why <c>use_unix_socket_repl</c> has no effect.</summary>
    public const string NoReplicationToItself = "the agent makes no replication connection to its own server";

    private const string BaseBackupSection = "basebackup";

    private static readonly string[] s_roles = ["primary", "replica", "standby_leader"];

    private static readonly string[] s_callbacks = ["on_start", "on_stop", "on_restart", "on_reload", "on_role_change"];

    private static readonly string[] s_notForBaseBackup =
    [
        "pgdata", "format", "wal-method", "xlog-method", "gzip", "version", "dbname", "host", "port", "username",
        "password",
    ];

    private static readonly string[] s_notForInitDb = ["pgdata", "nosync", "pwfile", "sync-only", "version"];

    /// <summary>What the local file and the dynamic configuration may both say.</summary>
    public static SharedPostgresSettings ReadShared(SectionReader section)
    {
        var methods = section.TextList("create_replica_methods");
        var legacyMethods = section.TextList("create_replica_method");
        var callbacks = section.Section("callbacks");
        var shared = new SharedPostgresSettings
        {
            Parameters = section.TextMap("parameters", StringComparer.OrdinalIgnoreCase),
            RoleParameters = ByRole(role => section.TextMap($"parameters_{role}", StringComparer.OrdinalIgnoreCase)),
            PgHba = section.TextList("pg_hba"),
            RolePgHba = ByRole(role => section.TextList($"pg_hba_{role}")),
            PgIdent = section.TextList("pg_ident"),
            RolePgIdent = ByRole(role => section.TextList($"pg_ident_{role}")),
            RecoveryConf = section.TextMap("recovery_conf", StringComparer.OrdinalIgnoreCase),
            CustomConf = section.Text("custom_conf"),
            Callbacks = callbacks.Exists ? ReadCallbacks(callbacks) : null,
            CreateReplicaMethods = methods ?? legacyMethods,
            BaseBackup = Options(section, BaseBackupSection, s_notForBaseBackup),
            Rewind = Options(section, "rewind",
                ["target-pgdata", "source-pgdata", "source-server", "write-recovery-conf", "dry-run",
                "restore-target-wal", "config-file", "no-ensure-shutdown", "version", "help"]),
            UseRewind = section.Boolean("use_pg_rewind"),
            RemoveDataDirectoryOnRewindFailure = section.Boolean("remove_data_directory_on_rewind_failure"),
            RemoveDataDirectoryOnDivergedTimelines = section.Boolean("remove_data_directory_on_diverged_timelines"),
            UseUnixSocket = section.Boolean("use_unix_socket"),
            StartStopTimeout = section.Seconds("pg_ctl_timeout"),
            KerberosServiceName = section.Text("krbsrvname"),
            PrePromote = section.Text("pre_promote"),
            BeforeStop = section.Text("before_stop"),
        };
        WithoutEffect(section, "use_unix_socket_repl", NoReplicationToItself);
        return shared with { ReplicaMethods = ReadMethods(section, shared.CreateReplicaMethods ?? []) };
    }

    /// <summary>The options of a program, from a list of flags and one-key maps, or from a map.</summary>
    public static ImmutableArray<ProgramOption>? Options(SectionReader section, string key, string[] refused)
    {
        var options = ImmutableArray.CreateBuilder<ProgramOption>();
        switch (section.Any(key))
        {
            case null:
                return null;
            case JsonObject map:
                foreach (var (name, value) in map)
                {
                    Add(name, value, SettingsTree.Join(key, name));
                }
                break;
            case JsonArray list:
                for (var index = 0; index < list.Count; index++)
                {
                    var path = string.Create(CultureInfo.InvariantCulture, $"{key}[{index}]");
                    switch (list[index])
                    {
                        case JsonObject { Count: 1 } pair:
                            Add(pair.First().Key, pair.First().Value, path);
                            break;
                        case JsonValue flag when SectionReader.ScalarText(flag) is { Length: > 0 } name:
                            Add(name, JsonValue.Create(true), path);
                            break;
                        case var other:
                            Wrong(path, other, "an option's name, or one name: value");
                            break;
                    }
                }
                break;
            case var other:
                Wrong(key, other, "a list of options, or a mapping of names to values");
                break;
        }
        return options.ToImmutable();

        void Add(string name, JsonNode? value, string path)
        {
            name = name.TrimStart('-');
            if (name.IndexOf('=', StringComparison.Ordinal) is > 0 and var equals
                && value?.GetValueKind() is JsonValueKind.True)
            {
                // a flag and its value in one text
                (name, value) = (name[..equals], JsonValue.Create(name[(equals + 1)..]));
            }
            if (name.Length == 0
                || name.Any(letter => !char.IsAsciiLetterOrDigit(letter) && letter is not ('-' or '_')))
            {
                Wrong(path, value, "the long name of an option, with its value behind a colon");
            }
            else if (Array.Find(refused,
                other => other.StartsWith(name, StringComparison.OrdinalIgnoreCase)) is { } own)
            {
                // programs take every beginning of a name that is unique
                Wrong(path, value, $"left out: the agent sets {own} itself");
            }
            else if (value is JsonValue && value.GetValueKind() is JsonValueKind.True)
            {
                options.Add(new ProgramOption(name, null));
            }
            else if (value is JsonValue && SectionReader.ScalarText(value) is { } text)
            {
                if (value.GetValueKind() is not JsonValueKind.False)
                {
                    options.Add(new ProgramOption(name, Unquote(text)));
                }
            }
            else if (value is not null)
            {
                Wrong(path, value, "a text or a number");
            }
        }

        void Wrong(string path, JsonNode? value, string allowed)
        {
            var full = SettingsTree.Join(section.Path, path);
            section.Report.Error(new SettingsProblem(
                section.Tree.OriginOf(full), full, SectionReader.Shown(value), $"must be {allowed}"));
        }
    }

    /// <summary>Names a setting of Patroni's that is understood and changes nothing here.</summary>
    public static void WithoutEffect(SectionReader section, string key, string why)
    {
        if (section.Has(key))
        {
            section.Ignore(key);
            section.Warn(key, $"has no effect: {why}");
        }
    }

    /// <summary>The options of initdb.</summary>
    public static ImmutableArray<ProgramOption>? InitDbOptions(SectionReader section, string key) =>
        Options(section, key, s_notForInitDb);

    /// <summary>The keys of a section beside <paramref name="known"/>, as texts to hand to a command.</summary>
    public static ImmutableSortedDictionary<string, string> Arguments(SectionReader section, params string[] known)
    {
        var arguments = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (var key in section.Keys.Where(key => Array.IndexOf(known, key) < 0).ToList())
        {
            if (SectionReader.ScalarText(section.Any(key)) is { } text)
            {
                // Scripts for Patroni expect its way to print a boolean.
                arguments[key] = section.Peek(key)!.GetValueKind() switch
                {
                    JsonValueKind.True => "True",
                    JsonValueKind.False => "False",
                    _ => text,
                };
            }
            else
            {
                section.Wrong(key, "a text or a number: it is handed to the command");
            }
        }
        return arguments.ToImmutable();
    }

    private static ImmutableSortedDictionary<string, string> ReadCallbacks(SectionReader section)
    {
        var commands = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (var name in s_callbacks)
        {
            if (section.Text(name) is { Length: > 0 } command)
            {
                commands[name] = command;
            }
        }
        section.WarnUnknownKeys();
        return commands.ToImmutable();
    }

    /// <summary>
    /// The sections that a method's name points to, and every other section with a command: the cluster may name it.
    /// </summary>
    private static ImmutableSortedDictionary<string, ReplicaMethodSettings> ReadMethods(
        SectionReader section, ImmutableArray<string> named)
    {
        var methods = ImmutableSortedDictionary.CreateBuilder<string, ReplicaMethodSettings>(StringComparer.Ordinal);
        foreach (var key in section.UnknownKeys.ToList())
        {
            if (key == BaseBackupSection || section.Peek(key) is not JsonObject map
                || (!named.Contains(key) && !map.ContainsKey("command")))
            {
                continue;
            }
            var method = section.Section(key);
            methods[key] = new ReplicaMethodSettings
            {
                Command = method.Text("command") ?? key,
                KeepData = method.Boolean("keep_data") ?? false,
                NoParameters = method.Boolean("no_params") ?? false,
                NoLeader = method.Boolean("no_leader") ?? false,
                Arguments = Arguments(method, "command", "keep_data", "no_params", "no_leader"),
            };
        }
        return methods.ToImmutable();
    }

    private static ImmutableSortedDictionary<string, T> ByRole<T>(Func<string, T?> read)
        where T : class => s_roles.Select(role => (role, value: read(role))).Where(pair => pair.value is not null)
            .ToImmutableSortedDictionary(pair => pair.role, pair => pair.value!, StringComparer.Ordinal);

    private static ImmutableSortedDictionary<string, ImmutableArray<string>> ByRole(
        Func<string, ImmutableArray<string>?> read) =>
        s_roles.Select(role => (role, value: read(role))).Where(pair => pair.value is not null)
            .ToImmutableSortedDictionary(pair => pair.role, pair => pair.value!.Value, StringComparer.Ordinal);

    private static string Unquote(string text) =>
        text.Length >= 2 && text[0] == text[^1] && text[0] is '\'' or '"' ? text[1..^1] : text;
}
