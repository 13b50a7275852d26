using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using Routing.Cluster.Keys;
using Routing.Settings;
using Routing.Settings.Postgres;

namespace Routing.Agent.Config;

/// <summary>
/// The section <c>bootstrap</c>, and <c>post_bootstrap</c> beside it: how this node makes a new cluster.
/// </summary>
internal static class BootstrapSection
{
    /// <summary>Reads the section; null: there is none, and this node never makes a cluster.</summary>
    /// <param name="root">The root of the configuration.</param>
    /// <param name="report">Takes what is wrong in the section.</param>
    public static BootstrapSettings? Read(SectionReader root, SettingsReport report)
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
}
