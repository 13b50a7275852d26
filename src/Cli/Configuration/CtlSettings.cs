using Routing.Cli.Rest;
using Routing.Cli.Sql;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Hosting.Sections;
using Routing.Settings;

namespace Routing.Cli.Configuration;

/// <summary>What routingctl takes from its configuration, which may be the agent's own.</summary>
internal sealed record CtlSettings
{
    private const string Prefix = "PATRONI_";

    private static readonly string[] s_stores = ["etcd3", "etcd", "consul", "zookeeper", "exhibitor", "kubernetes",
        "raft"];

    /// <summary>The cluster that is meant when none is named.</summary>
    public string? Scope { get; init; }

    /// <summary>What stands before the scope in the DCS; <c>service</c> when empty.</summary>
    public string? Namespace { get; init; }

    /// <summary>How to reach etcd.</summary>
    /// <exception cref="CtlException">Nothing says so.</exception>
    public EtcdOptions Etcd
    {
        get => field ?? throw new CtlException(
            "There is no configuration that says where etcd is.",
            "Use --config-file FILE (the agent's own will do), PATRONI_ETCD3_HOSTS, or --dcs-url HOST:PORT.");
        init;
    }

    /// <summary><c>citus.group</c>, or null.</summary>
    public int? ConfiguredGroup { get; init; }

    /// <summary>How to talk to the members' REST API.</summary>
    public ApiSettings Api { get; init; } = new();

    /// <summary>The superuser, where the agent's own file names one: it asks a server about its parameters.</summary>
    public SqlLogin Superuser { get; init; } = new(null, null, "postgres");

    /// <summary>The member of this node, where the file is the agent's own.</summary>
    public string? Member { get; init; }

    /// <summary>The words that a pgBackRest command of this node begins with; null: no pgbackrest section.</summary>
    public IReadOnlyList<string>? PgBackRest { get; init; }

    /// <summary>Where the keys of a cluster, or of one of its Citus groups, stand.</summary>
    public string BasePath(string name, int? group) => ClusterKeys.BasePath(Namespace, Scoped(name, group));

    /// <summary>The scope of a cluster, or of one of its Citus groups.</summary>
    public static string Scoped(string name, int? group) => group is null ? name : $"{name}/{group}";

    /// <summary>Reads the configuration file, the variables over it, and the options over both.</summary>
    /// <exception cref="CtlException">A file that was asked for isn't there, or a value is wrong.</exception>
    public static CtlSettings Load(
        CtlEnvironment environment, string? fileOption, string? dcsUrlOption, bool insecureOption)
    {
        var report = new SettingsReport();
        var root = new SectionReader(LoadTree(environment, fileOption, report), report);
        var dcsUrl = (dcsUrlOption ?? environment.Variable("DCS_URL")) is { } url ? DcsUrl.Parse(url) : null;
        var etcd = dcsUrl is null ? ReadEtcd(root) : new EtcdOptions { Endpoints = [dcsUrl.Endpoint] };
        var api = ReadApi(root);
        var scope = root.Text("scope");
        var clusterNamespace = dcsUrl?.Namespace ?? root.Text("namespace");
        // Errors in the agent's own section are ignored: this program does not use it.
        var superuser = new SectionReader(root.Tree, new SettingsReport())
            .Section("postgresql").Section("authentication").Section("superuser");
        var login = new SqlLogin(superuser.Text("username"), superuser.Text("password"), "postgres");
        var group = root.Section("citus").Number("group", minimum: 0);
        if (!report.Errors.IsEmpty)
        {
            throw new CtlException(string.Join(Environment.NewLine, report.Errors));
        }
        return new CtlSettings
        {
            Scope = string.IsNullOrWhiteSpace(scope) ? null : scope,
            Namespace = clusterNamespace,
            Etcd = etcd!,   // null: nothing says where; an error only for commands that ask it
            ConfiguredGroup = group,
            Superuser = login,
            Member = root.Text("name"),
            PgBackRest = ReadPgBackRest(new SectionReader(root.Tree, new SettingsReport()).Section("pgbackrest")),
            Api = insecureOption ? api with { Insecure = true } : api,
        };
    }

    private static string[]? ReadPgBackRest(SectionReader section) => section.Text("stanza") is not { } stanza ? null
        : section.Text("config") is { } file
            ? [section.Text("command") ?? "pgbackrest", $"--config={file}", $"--stanza={stanza}"]
            : [section.Text("command") ?? "pgbackrest", $"--stanza={stanza}"];

    private static SettingsTree LoadTree(CtlEnvironment environment, string? fileOption, SettingsReport report)
    {
        var asked = fileOption ?? environment.Variable("PATRONICTL_CONFIG_FILE");
        var file = asked ?? DefaultFile(environment);
        var exists = File.Exists(file) || Directory.Exists(file);
        if (asked is not null && !exists)
        {
            throw new CtlException($"The configuration file {asked} does not exist.",
                "See --config-file and PATRONICTL_CONFIG_FILE.");
        }
        var variables = SettingsEnvironment.From(Prefix, environment.Variables);
        return !exists && variables.IsEmpty
            ? new SettingsTree()
            : SettingsLoader.Load(exists ? file : null, variables, EnvironmentSchema.Agent, report);
    }

    private static string DefaultFile(CtlEnvironment environment)
    {
        var folder =
            environment.Variable("XDG_CONFIG_HOME") ?? Path.Combine(environment.Variable("HOME") ?? "/", ".config");
        return Path.Combine(folder, "patroni", "patronictl.yaml");
    }

    /// <summary>Null when no section of any DCS is there; another DCS than etcd is an error in the report.</summary>
    private static EtcdOptions? ReadEtcd(SectionReader root) =>
        s_stores.Any(root.Has) ? EtcdSection.Read(root) : null;

    private static ApiSettings ReadApi(SectionReader root)
    {
        var ctl = root.Section("ctl");
        var restApi = root.Section("restapi");
        return new ApiSettings
        {
            Credentials = ReadCredentials(ctl) ?? ReadCredentials(restApi),
            CaFile = ctl.Text("cacert") ?? restApi.Text("cafile"),
            CertificateFile = ctl.Text("certfile"),
            KeyFile = ctl.Text("keyfile"),
            KeyPassword = ctl.Text("keyfile_password"),
            Insecure = ctl.Boolean("insecure") ?? false,
        };
    }

    private static (string Username, string Password)? ReadCredentials(SectionReader section)
    {
        var authentication = section.Section("authentication");
        return authentication.Text("username") is { Length: > 0 } username
            ? (username, authentication.Text("password") ?? "")
            : null;
    }
}
