using System.Collections.Immutable;
using System.Text;
using System.Text.Json.Nodes;
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
        var rest = RestApiSection.Read(root.Section("restapi"));
        var settings = new AgentSettings
        {
            Source = source,
            Scope = scope,
            Name = name,
            Namespace = root.Text("namespace") ?? "/service",
            Site = root.Text("site") is { Length: > 0 } site ? site : null,
            Log = LogSection.Read(root.Section("log")),
            Rest = rest,
            Ctl = CtlSection.Read(root.Section("ctl"), rest),
            Etcd = EtcdSection.Read(root) ?? new Dcs.EtcdOptions { Endpoints = [] },
            Bootstrap = BootstrapSection.Read(new SectionReader(tree, ofBootstrap), ofBootstrap),
            Postgres = PostgresqlSection.Read(root.Section("postgresql")),
            Watchdog = WatchdogSection.Read(root.Section("watchdog")),
            PgBackRest = PgBackRestSection.Read(root.Section("pgbackrest")),
            Tags = TagsSection.Read(root.Section("tags")),
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
}
