using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Cluster.Text;
using Routing.Hosting.Logging;
using Routing.Hosting.Sections;
using Routing.Settings;
using Routing.Settings.Postgres;

namespace Routing.Agent.Config;

/// <summary>What reading a configuration gave.</summary>
/// <param name="Settings">The settings; null when there are errors.</param>
/// <param name="Draft">
/// The settings, with what is wrong in them left out; null when the sources could not be read.
/// </param>
/// <param name="Tree">The merged values, with where each was written.</param>
/// <param name="Warnings">Things to know: unknown keys by name, values without effect.</param>
/// <param name="Errors">Wrong values, every one of them.</param>
/// <param name="BootstrapErrors">
/// Wrong values in what makes a new cluster. They keep this node from making one, and from nothing else: in a cluster
/// that exists, the section does not matter any more.
/// </param>
public sealed record AgentSettingsResult(
    AgentSettings? Settings, AgentSettings? Draft, SettingsTree Tree, ImmutableArray<SettingsProblem> Warnings,
    ImmutableArray<SettingsProblem> Errors,
    ImmutableArray<SettingsProblem> BootstrapErrors);

/// <summary>Reads the agent's local configuration.</summary>
public static class AgentSettingsReader
{
    /// <summary>The prefix of the agent's environment variables.</summary>
    public const string EnvironmentPrefix = "PATRONI_";

    /// <summary>Begins the message of a configuration that breaks the reader.</summary>
    internal const string Unforeseen = "cannot be read, for a reason that was not foreseen";

    private const int LongestServerName = 63;   // bytes: NAMEDATALEN - 1

    private const string ForbiddenName = "__patroni_strict_sync_replica_placeholder__";

    private static readonly string[] s_dynamicOnly = ["ttl", "loop_wait", "retry_timeout", "standby_cluster"];

    /// <summary>Reads a file or a directory, the environment over it, and checks every value.</summary>
    /// <param name="path">The file or directory; null: the environment alone.</param>
    /// <param name="environment">
    /// The variables, taken from the process once (<see cref="SettingsEnvironment.TakeFromProcess"/>).
    /// </param>
    public static AgentSettingsResult Load(string? path, SettingsEnvironment environment)
    {
        var report = new SettingsReport();
        var tree = SettingsLoader.Load(path, environment, EnvironmentSchema.Agent, report);
        if (!report.Errors.IsEmpty)
        {
            // A file that can't be read, or half of it: what follows would only list everything as missing.
            return new AgentSettingsResult(null, null, tree, report.Warnings, report.Errors, []);
        }
        var ofBootstrap = new SettingsReport();
        AgentSettings? settings = null;
        try
        {
            settings = Read(tree, report, ofBootstrap, path ?? "the environment");
        }
        catch (Exception problem)
        {
            // A mistake of ours. It must not keep the operator from reading what else is wrong.
            report.Error(new SettingsProblem(
                path ?? "", "", null, $"{Unforeseen} ({problem.GetType().Name}: {problem.Message})"));
        }
        return new AgentSettingsResult(
            report.Errors.IsEmpty ? settings : null, settings, tree, [.. report.Warnings, .. ofBootstrap.Warnings],
            report.Errors,
            ofBootstrap.Errors);
    }

    private static AgentSettings Read(
        SettingsTree tree, SettingsReport report, SettingsReport ofBootstrap, string source)
    {
        var root = new SectionReader(tree, report);
        var name = ReadName(root);
        if (name == ForbiddenName)
        {
            root.Wrong("name", "another name: this one is reserved");
        }
        var scope = root.RequiredText("scope");
        foreach (var (key, text) in new[] { ("name", name), ("scope", scope) })
        {
            if (text.Any(letter => char.IsControl(letter) || (key == "name" && letter == '/')))
            {
                root.Wrong(key, "a text without / and control characters: it becomes part of a key's name");
            }
        }
        if (Encoding.UTF8.GetByteCount(name) > LongestServerName)
        {
            root.Warn("name", "is longer than 63 bytes, where PostgreSQL cuts application_name: this member can't be a "
                + "synchronous standby");
        }
        var rest = ReadRest(root.Section("restapi"));
        var settings = new AgentSettings
        {
            Source = source,
            Scope = scope,
            Name = name,
            Namespace = root.Text("namespace") ?? "/service",
            Log = LogSection.Read(root.Section("log")),
            Rest = rest,
            Ctl = ReadCtl(root.Section("ctl"), rest),
            Etcd = EtcdSection.Read(root) ?? new Dcs.EtcdOptions { Endpoints = [] },
            Bootstrap = ReadBootstrap(new SectionReader(tree, ofBootstrap), ofBootstrap),
            Postgres = ReadPostgres(root.Section("postgresql")),
            Watchdog = ReadWatchdog(root.Section("watchdog")),
            Tags = ReadTags(root.Section("tags")),
        };
        root.Ignore("bootstrap", "post_bootstrap");
        PostgresSectionReader.WithoutEffect(root, "thread_pool_size", "there is no pool to size");
        PostgresSectionReader.WithoutEffect(root, "thread_stack_size", "there is no pool whose threads it could size");
        foreach (var key in s_dynamicOnly.Where(root.Has))
        {
            root.Ignore(key);
            root.Warn(
                key, "has no effect here: it belongs into the dynamic configuration (bootstrap.dcs for a new cluster)");
        }
        if (root.Has("citus"))
        {
            root.Ignore("citus");
            root.Warn("citus", "is not supported and has no effect");
        }
        root.WarnUnknownKeys();
        return settings;
    }

    /// <summary>Where the root has no name, an older place of it counts: <c>postgresql.name</c>.</summary>
    private static string ReadName(SectionReader root)
    {
        const string Name = "name";
        var postgresql =
            new SectionReader(root.Tree, new SettingsReport(), "postgresql", root.Peek("postgresql") as JsonObject);
        if (root.Has(Name) || !postgresql.Has(Name))
        {
            return root.RequiredText(Name);
        }
        root.Ignore(Name);
        return new SectionReader(root.Tree, root.Report, "postgresql",
            root.Peek("postgresql") as JsonObject).RequiredText(Name);
    }

    private static RestSettings ReadRest(SectionReader rest)
    {
        var listen = Required(rest, "listen");
        var connect = rest.Has("connect_address") || rest.Has("listen")
            ? ConnectAddress(rest, listen.Host, listen.Port)
            : Required(rest, "connect_address");
        var plainHeaders = rest.TextMap("http_extra_headers", StringComparer.OrdinalIgnoreCase);
        var secureHeaders = rest.TextMap("https_extra_headers", StringComparer.OrdinalIgnoreCase);
        var certificate = rest.Text("certfile");
        CheckHeaders(rest, "http_extra_headers", plainHeaders);
        CheckHeaders(rest, "https_extra_headers", secureHeaders);
        var headers =
            plainHeaders ?? ImmutableSortedDictionary.Create<string, string>(StringComparer.OrdinalIgnoreCase);
        var settings = new RestSettings
        {
            Listen = listen,
            ConnectAddress = connect,
            Authentication = ReadCredentials(rest),
            CertificateFile = certificate,
            KeyFile = rest.Text("keyfile"),
            KeyFilePassword = rest.Text("keyfile_password"),
            CaFile = rest.Text("cafile"),
            VerifyClient = rest.Choice(
                "verify_client", ("none", ClientVerification.None), ("optional", ClientVerification.Optional),
                ("required", ClientVerification.Required)) ?? ClientVerification.None,
            AllowList = ReadAllowList(rest),
            AllowListIncludesMembers = rest.Boolean("allowlist_include_members") ?? false,
            ExtraHeaders =
                certificate is not null && secureHeaders is not null ? headers.SetItems(secureHeaders) : headers,
            RequestQueueSize = rest.Number("request_queue_size", 0, 4096) ?? 5,
            ServerTokens = rest.Choice(
                "server_tokens", ("minimal", ServerTokens.Minimal), ("productonly", ServerTokens.ProductOnly),
                ("original", ServerTokens.Original)) ?? ServerTokens.Original,
        };
        PostgresSectionReader.WithoutEffect(rest, "thread_pool_size", "there is no pool to size");
        PostgresSectionReader.WithoutEffect(
            rest, "ciphers", "the system's OpenSSL policy decides which ciphers are offered");
        rest.WarnUnknownKeys();
        return settings;
    }

    /// <summary>A header that HTTP does not allow would break every answer.</summary>
    private static void CheckHeaders(SectionReader rest, string key, ImmutableSortedDictionary<string, string>? headers)
    {
        foreach (var (name, value) in headers ?? ImmutableSortedDictionary<string, string>.Empty)
        {
            if (name.Length == 0
                || name.Any(
                    letter => !char.IsAsciiLetterOrDigit(letter)
                        && !"!#$%&'*+-.^_`|~".Contains(letter, StringComparison.Ordinal))
                || name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase)
                || name.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase))
            {
                rest.Wrong(
                    key, $"the names of headers that HTTP knows and that the agent does not set itself, not '{name}'");
            }
            if (value.Any(letter => letter is < ' ' or > '~'))
            {
                rest.Wrong(key, $"plain ASCII texts; that of {name} is not");
            }
        }
    }

    private static ImmutableArray<string> ReadAllowList(SectionReader rest)
    {
        var entries = rest.CommaList("allowlist") ?? [];
        foreach (var entry in entries.Where(
            entry => entry.Contains('/', StringComparison.Ordinal) && !NetworkText.TryParse(entry, out _)))
        {
            rest.Wrong("allowlist", $"names, addresses, and networks such as 10.0.0.0/8, not '{entry}'");
        }
        return entries;
    }

    private static CtlSettings ReadCtl(SectionReader ctl, RestSettings rest)
    {
        var settings = new CtlSettings
        {
            Authentication = ReadCredentials(ctl) ?? rest.Authentication,
            Insecure = ctl.Boolean("insecure") ?? false,
            CaFile = ctl.Text("cacert") ?? rest.CaFile,
            CertificateFile = ctl.Text("certfile"),
            KeyFile = ctl.Text("keyfile"),
            KeyFilePassword = ctl.Text("keyfile_password"),
        };
        ctl.WarnUnknownKeys();
        return settings;
    }

    private static BasicCredentials? ReadCredentials(SectionReader section)
    {
        var authentication = section.Section("authentication");
        if (!authentication.Exists)
        {
            return null;
        }
        var credentials =
            new BasicCredentials(authentication.RequiredText("username"), authentication.RequiredText("password"));
        authentication.WarnUnknownKeys();
        return credentials;
    }

    private static BootstrapSettings? ReadBootstrap(SectionReader root, SettingsReport report)
    {
        var steps = ReadPostBootstrapSql(root);
        var bootstrap = root.Section("bootstrap");
        if (!bootstrap.Exists)
        {
            if (!steps.IsEmpty)
            {
                root.Warn("post_bootstrap",
                    "has no effect without a bootstrap section: this node never makes a new cluster");
            }
            return null;
        }
        if (bootstrap.Has("users"))
        {
            bootstrap.Ignore("users");
            bootstrap.Warn("users", "has no effect: create roles by post_bootstrap");
        }
        var methodName = bootstrap.Text("method");
        var settings = new BootstrapSettings
        {
            Dcs = ReadInitialDynamic(bootstrap),
            InitDb = PostgresSectionReader.InitDbOptions(bootstrap, "initdb") ?? [],
            PgHba = bootstrap.TextList("pg_hba") ?? [],
            PostBootstrapCommand = FirstText(bootstrap, "post_bootstrap", "post_init"),
            PostBootstrapSql = steps,
            Custom = methodName is null or "initdb" ? null : ReadCustomBootstrap(bootstrap, methodName),
        };
        foreach (var key in bootstrap.UnknownKeys.Where(
            key => bootstrap.Peek(key) is JsonObject map && map.ContainsKey("command")).ToList())
        {
            bootstrap.Ignore(key);   // another custom method, not the chosen one
        }
        bootstrap.WarnUnknownKeys();
        return settings with { IsUsable = report.Errors.IsEmpty };
    }

    private static string? FirstText(SectionReader section, string first, string second)
    {
        var one = section.Text(first);
        var two = section.Text(second);
        return one ?? two;
    }

    /// <summary>
    /// <c>bootstrap.dcs</c>; a <c>bootstrap.postgresql</c> beside it counts as its <c>postgresql</c>, and gives way to
    /// it.
    /// </summary>
    private static JsonElement ReadInitialDynamic(SectionReader bootstrap)
    {
        var dcs = bootstrap.Section("dcs");
        var beside = bootstrap.Section("postgresql");
        var merged = bootstrap.Any("dcs")?.DeepClone() as JsonObject ?? [];
        if (bootstrap.Any("postgresql") is JsonObject outer)
        {
            var postgresql = (JsonObject)outer.DeepClone();
            if (merged["postgresql"] is JsonObject inner)
            {
                MergeOver(postgresql, inner);
            }
            merged["postgresql"] = postgresql;
        }
        foreach (var section in new[] { dcs.Section("postgresql"), beside }.Where(section => section.Exists))
        {
            PostgresSectionReader.ReadShared(section);
            section.Boolean("use_slots");
            section.WarnUnknownKeys();
        }
        var element = SectionReader.ToElement(merged);
        var initial = DynamicConfigReader.Read(element, 0);
        foreach (var problem in initial.Problems)
        {
            bootstrap.Report.Error(
                new SettingsProblem(bootstrap.Tree.OriginOf("bootstrap.dcs"), "bootstrap.dcs", null, problem));
        }
        if (initial.StandbyCluster is not null)
        {
            dcs.Wrong("standby_cluster",
                "left out: this version does not run standby clusters, and no member would ever lead");
        }
        return element;
    }

    /// <summary>Merges like a patch, but parameter names meet in any case.</summary>
    private static void MergeOver(JsonObject target, JsonObject patch)
    {
        foreach (var (key, value) in patch)
        {
            if (value is JsonObject inner && target[key] is JsonObject existing)
            {
                foreach (var (name, innerValue) in inner)
                {
                    foreach (var same in existing.Select(pair => pair.Key)
                        .Where(other => other.Equals(name, StringComparison.OrdinalIgnoreCase)).ToList())
                    {
                        existing.Remove(same);
                    }
                    existing[name] = innerValue?.DeepClone();
                }
            }
            else
            {
                target[key] = value?.DeepClone();
            }
        }
    }

    private static ImmutableArray<string> ReadPostBootstrapSql(SectionReader root)
    {
        var steps = ImmutableArray.CreateBuilder<string>();
        switch (root.Any("post_bootstrap"))
        {
            case null:
                break;
            case JsonArray list:
                for (var index = 0; index < list.Count; index++)
                {
                    var step = new SectionReader(
                        root.Tree, root.Report, $"post_bootstrap[{index}]", list[index] as JsonObject);
                    if (!step.Exists)
                    {
                        root.Report.Error(new SettingsProblem(
                            root.Tree.OriginOf(step.Path), step.Path, SectionReader.Shown(list[index]),
                            "must be a mapping with type and command"));
                        continue;
                    }
                    step.Choice("type", ("sql", true));
                    steps.Add(step.RequiredText("command"));
                    step.WarnUnknownKeys();
                }
                break;
            default:
                root.Wrong("post_bootstrap",
                    "a list of {type: sql, command: …} (a script belongs to bootstrap.post_bootstrap)");
                break;
        }
        return steps.ToImmutable();
    }

    private static CustomBootstrapSettings? ReadCustomBootstrap(SectionReader bootstrap, string name)
    {
        var section = bootstrap.Section(name);
        if (!section.Has("command"))
        {
            bootstrap.Warn("method", $"{name} has no command: initdb makes the cluster");
            return null;
        }
        return new CustomBootstrapSettings
        {
            Name = name,
            Command = section.RequiredText("command"),
            NoParameters = section.Boolean("no_params") ?? false,
            KeepExistingRecoveryConf = section.Boolean("keep_existing_recovery_conf") ?? false,
            RecoveryConf = ParameterNames(section, section.TextMap("recovery_conf", StringComparer.OrdinalIgnoreCase)),
            Arguments = PostgresSectionReader.Arguments(
                section, "command", "no_params", "keep_existing_recovery_conf", "recovery_conf", "scope", "datadir"),
        };
    }

    private static ImmutableSortedDictionary<string, string>? ParameterNames(
        SectionReader section, ImmutableSortedDictionary<string, string>? parameters)
    {
        if (parameters?.Keys.FirstOrDefault(name => !ParameterName.IsValid(name)) is { } odd)
        {
            section.Wrong("recovery_conf", $"a mapping of parameters' names to values, and '{odd}' is no such name");
        }
        return parameters;
    }

    private static PostgresSettings ReadPostgres(SectionReader postgresql)
    {
        var (hosts, port) = ReadListen(postgresql);
        var connect = postgresql.Has("connect_address") || postgresql.Has("listen")
            ? ConnectAddress(postgresql, hosts.FirstOrDefault() ?? "", port)
            : Required(postgresql, "connect_address");
        var data = postgresql.RequiredText("data_dir");
        data = data.Length == 0 ? data : Path.TrimEndingDirectorySeparator(Path.GetFullPath(data));
        var programs = postgresql.Section("bin_name");
        var defaults = new ProgramNames();
        var settings = new PostgresSettings
        {
            ListenAddresses = hosts,
            Port = port,
            ConnectAddress = connect,
            ProxyAddress = postgresql.Address("proxy_address", 5432),
            DataDirectory = data,
            ConfigDirectory = postgresql.Text("config_dir") is { Length: > 0 } directory
                ? Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory))
                : data,
            ConfigBaseName = postgresql.Text("config_base_name") ?? "postgresql",
            BinDirectory = postgresql.Text("bin_dir") is { Length: > 0 } bin ? bin : null,
            Programs = new ProgramNames
            {
                PgCtl = programs.Text("pg_ctl") ?? defaults.PgCtl,
                InitDb = programs.Text("initdb") ?? defaults.InitDb,
                PgControlData = programs.Text("pg_controldata") ?? defaults.PgControlData,
                PgBaseBackup = programs.Text("pg_basebackup") ?? defaults.PgBaseBackup,
                Postgres = programs.Text("postgres") ?? defaults.Postgres,
                PgIsReady = programs.Text("pg_isready") ?? defaults.PgIsReady,
                PgRewind = programs.Text("pg_rewind") ?? defaults.PgRewind,
            },
            PasswordFile = postgresql.Text("pgpass") is { Length: > 0 } file
                ? Path.GetFullPath(file)
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), "pgpass"),
            Database = postgresql.Text("database") ?? "postgres",
            Authentication = ReadAuthentication(postgresql),
            Shared = PostgresSectionReader.ReadShared(postgresql),
        };
        programs.WarnUnknownKeys();
        WarnOfControlled(postgresql, settings.Shared.Parameters);
        if (postgresql.Has("use_slots"))
        {
            postgresql.Ignore("use_slots");
            postgresql.Warn("use_slots", "has no effect here: it belongs into the dynamic configuration");
        }
        postgresql.Ignore("name");
        postgresql.WarnUnknownKeys();
        return settings;
    }

    /// <summary>What all members have to agree on does not stand in the file of one.</summary>
    private static void WarnOfControlled(
        SectionReader postgresql, ImmutableSortedDictionary<string, string>? parameters)
    {
        foreach (var name in parameters?.Keys ?? [])
        {
            if (ControlledParameters.Contains(name))
            {
                postgresql.Warn($"parameters.{name}", ControlledParameters.IsSetByAgent(name)
                    ? "has no effect: it is set by the agent"
                    : "has no effect here: all members have to agree on it, and it belongs into the dynamic "
                        + "configuration");
            }
        }
    }

    private static (ImmutableArray<string> Hosts, int Port) ReadListen(SectionReader postgresql)
    {
        const string Wanted = "host:port, or hosts separated by commas and one port, or *:port";
        if (!postgresql.Has("listen"))
        {
            postgresql.Ignore("listen");
            postgresql.Missing("listen");
            return ([], 5432);
        }
        if (postgresql.Text("listen") is not { } text)
        {
            return ([], 5432);
        }
        // The port stands once, behind the last host.
        var comma = text.LastIndexOf(',');
        var hosts =
            comma < 0 ? [] : text[..comma].Split(',', StringSplitOptions.TrimEntries).Select(HostAlone).ToList();
        var lastText = text[(comma + 1)..].Trim();
        if (!HostPort.TryParse(lastText, 5432, out var last) || hosts.Contains(null)
            || last.Host.All(char.IsAsciiDigit))
        {
            postgresql.Wrong("listen", Wanted);
            return ([], 5432);
        }
        WarnAmbiguous(postgresql, "listen", lastText);
        hosts.Add(last.Host);
        if (hosts.Count > 1 && hosts.Contains("*"))
        {
            postgresql.Wrong("listen", "* alone, or a list of hosts without it");
        }
        return ([.. hosts.Select(host => host!)], last.Port);
    }

    /// <summary>A host without a port; null when it is none.</summary>
    private static string? HostAlone(string text)
    {
        var bracketed = text.Contains(':', StringComparison.Ordinal) && !text.StartsWith('[') ? $"[{text}]" : text;
        return HostPort.TryParse(bracketed, 0, out var host) && host.Port == 0 ? host.Host : null;
    }

    private static void WarnAmbiguous(SectionReader section, string key, string text)
    {
        if (HostPort.IsAmbiguous(text) && HostPort.TryParse(text, 0, out var read))
        {
            section.Warn(
                key, $"{text} is read as port {read.Port} of {read.Host}; [{text}]:PORT would be the whole address");
        }
    }

    private static AuthenticationSettings ReadAuthentication(SectionReader postgresql)
    {
        var authentication = postgresql.Section("authentication");
        var superuser = User(authentication, postgresql, "superuser", "superuser", required: true);
        var replication = User(authentication, postgresql, "replication", "replication", required: true);
        var rewind = User(authentication, postgresql, "rewind", "pg_rewind", required: false);
        authentication.WarnUnknownKeys();
        var nobody = new PostgresUser { Username = "" };
        return new AuthenticationSettings { Superuser = superuser ?? nobody, Replication = replication ?? nobody,
            Rewind = rewind };
    }

    private static PostgresUser? User(
        SectionReader authentication, SectionReader postgresql, string name, string legacyName, bool required)
    {
        var section = authentication.Section(name);
        if (!section.Exists && postgresql.Has(legacyName))
        {
            section = postgresql.Section(legacyName);   // where versions before 1.3 had it
        }
        postgresql.Ignore(legacyName);
        if (!section.Exists && !required)
        {
            return null;
        }
        var options = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (var keyword in PostgresUser.Keywords)
        {
            if (section.Text(keyword) is { Length: > 0 } value)
            {
                options[keyword] = value;
                // libpq refuses every connection with another word; the agent's own would be less strict than meant.
                if (PostgresUser.WordsOf(keyword) is { IsEmpty: false } words && !words.Contains(value))
                {
                    section.Wrong(keyword, $"one of {string.Join(", ", words)}");
                }
                if (keyword is "sslcrl" or "sslcrldir")
                {
                    section.Warn(keyword,
                        "holds for streaming, copies and rewinds; the agent's own connections do not look at it");
                }
            }
        }
        var user = new PostgresUser
        {
            Username = OneLine(section, "username", section.RequiredText("username")) ?? "",
            Password = OneLine(section, "password", section.Text("password")),
            Options = options.ToImmutable(),
        };
        section.WarnUnknownKeys();
        return user;
    }

    /// <summary>A password file and a service file have one line per entry, and no way to write a line break.</summary>
    private static string? OneLine(SectionReader section, string key, string? text)
    {
        if (text?.AsSpan().IndexOfAny('\n', '\r', '\0') >= 0)
        {
            section.Wrong(key, "one line (a text behind | ends with a line break, one behind |- does not)");
        }
        return text;
    }

    private static WatchdogSettings ReadWatchdog(SectionReader watchdog)
    {
        var defaults = new WatchdogSettings();
        const string testing = "testing";
        var margin = watchdog.Number("safety_margin", -1);
        var driver = watchdog.Text("driver");
        var settings = new WatchdogSettings
        {
            Mode = watchdog.Choice(
                "mode", ("off", WatchdogMode.Off), ("automatic", WatchdogMode.Automatic),
                ("required", WatchdogMode.Required),
                ("disabled", WatchdogMode.Off), ("disable", WatchdogMode.Off), ("auto", WatchdogMode.Automatic),
                ("require", WatchdogMode.Required))
                ?? defaults.Mode,
            Device = watchdog.Text("device") ?? defaults.Device,
            SafetyMargin = margin switch
            {
                null => defaults.SafetyMargin,
                -1 => null,
                { } seconds => TimeSpan.FromSeconds(seconds),
            },
            IsPipe = driver == testing,
        };
        if (driver == testing)
        {
            watchdog.Warn("driver", "the device is a named pipe that a test reads: it guards nothing");
        }
        else if (driver is not (null or "default"))
        {
            watchdog.Warn(
                "driver",
                $"'{driver}' has no effect: the device is used through the kernel's own interface, whatever its "
                    + "driver");
        }
        watchdog.WarnUnknownKeys();
        return settings;
    }

    private static ImmutableSortedDictionary<string, JsonElement> ReadTags(SectionReader tags)
    {
        foreach (var flag in new[] { "nofailover", "noloadbalance", "clonefrom", "nosync", "nostream" })
        {
            tags.Boolean(flag);
        }
        tags.Whole("failover_priority");
        tags.Whole("sync_priority");
        tags.Text("replicatefrom");
        foreach (var (flag, priority) in new[] { ("nofailover", "failover_priority"), ("nosync", "sync_priority") })
        {
            if (tags.Has(flag) && tags.Has(priority)
                && Scalars.TryBoolean(SectionReader.ToElement(tags.Any(flag)), out var never)
                && Scalars.TryInteger(SectionReader.ToElement(tags.Any(priority)), out var number)
                && never != number <= 0)
            {
                tags.Warn(priority, $"contradicts {flag}, which has precedence");
            }
        }
        return tags.Keys.ToImmutableSortedDictionary(
            key => key, key => SectionReader.ToElement(tags.Any(key)), StringComparer.Ordinal);
    }

    private static HostPort Required(SectionReader section, string key)
    {
        if (!section.Has(key))
        {
            section.Ignore(key);
            section.Missing(key);
            return default;
        }
        WarnAmbiguous(section, key, SectionReader.ScalarText(section.Peek(key)) ?? "");
        return section.Address(key) ?? default;
    }

    /// <summary>The published address; where none is given, the one listened on, when that is a real one.</summary>
    private static HostPort ConnectAddress(SectionReader section, string? listenHost, int listenPort)
    {
        if (section.Has("connect_address"))
        {
            WarnAmbiguous(section, "connect_address", SectionReader.ScalarText(section.Peek("connect_address")) ?? "");
            return section.Address("connect_address", listenPort > 0 ? listenPort : null) ?? default;
        }
        if (listenHost is null or "" or "*" or "0.0.0.0" or "::")
        {
            section.Ignore("connect_address");
            section.Missing("connect_address");
            return default;
        }
        return new HostPort(listenHost, listenPort);
    }
}
