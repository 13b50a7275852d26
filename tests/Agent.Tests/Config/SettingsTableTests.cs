using System.Collections;
using System.Collections.Immutable;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Routing.Agent.Config;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Settings;
using Routing.Settings.Review;
using Routing.TestKit;

namespace Routing.Agent.Tests.Config;

/// <summary><see cref="SettingsTable"/>, line by line: nothing is ignored in silence.</summary>
public sealed partial class SettingsTableTests
{
    /// <summary>What a line needs beside its own value, by the name that stands behind <c>with</c>.</summary>
    private static readonly Dictionary<string, string> s_company = new(StringComparer.Ordinal)
    {
        ["restapi.certfile"] = "restapi: {certfile: /x}",
        ["etcd3.srv"] = "etcd3: {hosts: null, srv: example.org}",
        ["etcd3.portless"] = "etcd3: {hosts: 127.0.0.1}",
        ["etcd3.cert"] = "etcd3: {cert: /x}",
        ["bootstrap.mine"] = "bootstrap: {dcs: {}, mine: {command: /x}}",
        ["bootstrap.method"] = "bootstrap: {dcs: {}, method: mine, mine: {command: /x}}",
        ["bootstrap.dcs"] = "bootstrap: {dcs: {}}",
        ["postgresql.create_replica_methods"] = "postgresql: {create_replica_methods: [mine]}",
    };

    private static readonly ImmutableArray<Role> s_roles = [Role.Primary, Role.Replica, Role.StandbyLeader];

    private static readonly AgentSettings s_smallest = Yaml.Settings();

    [Fact]
    public void Every_local_setting_is_honoured_or_named_or_refused() => AssertAll(SettingsTable.Local, LocalProblem);

    [Fact]
    public void Every_dynamic_setting_is_honoured_or_named_or_refused() =>
        AssertAll(SettingsTable.Dynamic, DynamicProblem);

    [Fact]
    public void A_line_that_says_something_wrong_is_found()
    {
        Assert.NotNull(LocalProblem(Line.Parse("log.level = INFO | honoured |").Single()));
        Assert.NotNull(LocalProblem(Line.Parse("log.level = DEBUG | named | x").Single()));
        Assert.NotNull(LocalProblem(Line.Parse("nonsense = 1 | honoured |").Single()));
        Assert.NotNull(LocalProblem(Line.Parse("log.level = DEBUG | honoured | NoSuchTests").Single()));
        Assert.NotNull(DynamicProblem(Line.Parse("my_tool = 5 | honoured |").Single()));
        Assert.NotNull(DynamicProblem(Line.Parse("ttl = 12 | refused | x").Single()));
    }

    private static void AssertAll(string table, Func<Line, string?> problemOf)
    {
        var lines = table.Split('\n').Where(line => line.Length > 0 && line[0] != '#').SelectMany(Line.Parse).ToList();

        var problems = lines.Select(line => problemOf(line) is { } problem ? $"{line.Setting}: {problem}" : null)
            .OfType<string>().ToList();

        Assert.True(lines.Count > 50, $"{lines.Count} settings");
        Assert.True(problems.Count == 0, string.Join('\n', problems));
    }

    private static string? LocalProblem(Line line)
    {
        var beside = Beside(line);
        var before = Yaml.Load(beside.ToJsonString());
        var over = (JsonObject)beside.DeepClone();
        Merge(over, Nested(line.Setting, Value(line.Value)));
        var after = Yaml.Load(over.ToJsonString());
        var errors = after.Errors.Concat(after.BootstrapErrors).Where(problem => IsAbout(problem, line.Setting))
            .Select(problem => problem.ToString()).ToList();
        var warnings = after.Warnings.Where(problem => IsAbout(problem, line.Setting))
            .Select(problem => problem.ToString()).ToList();
        return line.Judge(errors, warnings, Told(before), Told(after));

        static string Told(AgentSettingsResult result) => result.Draft is not { } settings ? "" : string.Concat(
            Described.Of(WithoutParameters(settings)),
            string.Concat(s_roles.Select(role =>
                Described.Of(EffectivePostgresConfig.Combine(settings, DynamicConfig.Default, role, 17)))));
    }

    private static string? DynamicProblem(Line line)
    {
        var over = Beside(line);
        var before = SectionReader.ToElement(over);
        Merge(over, Nested(line.Setting, Value(line.Value)));
        var after = SectionReader.ToElement(over);
        var review = ConfigReview.Of(before, after);
        return line.Judge(review.Problems, review.Remarks, Told(before), Told(after));

        static string Told(JsonElement json)
        {
            var config = DynamicConfigReader.Read(json, 0);
            return string.Concat(
                Described.Of(config with { Raw = default, Postgresql = default }),
                string.Concat(s_roles.Select(role =>
                    Described.Of(EffectivePostgresConfig.Combine(s_smallest, config, role, 17)))));
        }
    }

    /// <summary>Of the parameters that somebody wrote, only those count that PostgreSQL gets.</summary>
    private static AgentSettings WithoutParameters(AgentSettings settings) => settings with
    {
        Source = "",
        Postgres = settings.Postgres with { Shared = settings.Postgres.Shared with { Parameters = null } },
    };

    private static JsonObject Beside(Line line)
    {
        var beside = new JsonObject();
        foreach (var yaml in line.Company)
        {
            Merge(beside, YamlText.ReadMapping(s_company[yaml], "company").Root);
        }
        foreach (var hidden in line.Without)
        {
            Merge(beside, Nested(hidden, null));
        }
        return beside;
    }

    private static bool IsAbout(SettingsProblem problem, string setting) =>
        problem.Path == setting || setting.StartsWith(problem.Path + ".", StringComparison.Ordinal)
            || problem.Path.StartsWith(setting + ".", StringComparison.Ordinal);

    private static JsonNode? Value(string yaml) => YamlText.ReadMapping($"value: {yaml}", "value").Root["value"];

    private static JsonObject Nested(string path, JsonNode? value)
    {
        var names = path.Split('.');
        return names.Reverse().Skip(1).Aggregate(
            new JsonObject { [names[^1]] = value?.DeepClone() },
            (inner, name) => new JsonObject { [name] = inner });
    }

    private static void Merge(JsonObject target, JsonObject patch)
    {
        foreach (var (key, value) in patch)
        {
            if (value is JsonObject inner && target[key] is JsonObject outer)
            {
                Merge(outer, inner);
            }
            else
            {
                target[key] = value?.DeepClone();
            }
        }
    }

    /// <summary>One setting of the table.</summary>
    private sealed record Line(
        string Setting, string Value, ImmutableArray<string> Company, ImmutableArray<string> Without, string Verdict,
        string Words)
    {
        public static IEnumerable<Line> Parse(string text)
        {
            var parts = text.Split('|', StringSplitOptions.TrimEntries);
            var match = Said().Match(parts[0]);
            foreach (var setting in Expand(match.Groups["setting"].Value))
            {
                yield return new Line(
                    setting, match.Groups["value"].Value,
                    [.. match.Groups["with"].Captures.Select(capture => capture.Value)],
                    [.. match.Groups["without"].Captures.Select(capture => capture.Value)],
                    parts[1], parts[2]);
            }
        }

        /// <summary>What is not as the line says; null: all is.</summary>
        public string? Judge(
            IReadOnlyList<string> errors, IReadOnlyList<string> warnings, string before, string after) => Verdict switch
        {
            "refused" => Says(errors) ? null : $"no error says '{Words}': {string.Join(' ', errors)}",
            _ when errors.Count > 0 => $"it is refused: {string.Join(' ', errors)}",
            "named" when before != after => "it changes something",
            "named" => Says(warnings) ? null : $"no warning says '{Words}': {string.Join(' ', warnings)}",
            "honoured" when before == after => "it changes nothing",
            "honoured" when warnings.Any(warning => warning.Contains("no effect", StringComparison.Ordinal)) =>
                string.Join(' ', warnings),
            "honoured" => Words.Split(' ', StringSplitOptions.RemoveEmptyEntries)
                .FirstOrDefault(test => !Repository.HasTests(test)) is { } missing ? $"there are no {missing}" : null,
            _ => $"'{Verdict}' is no verdict",
        };

        private bool Says(IEnumerable<string> texts) =>
            texts.Any(text => text.Contains(Words, StringComparison.Ordinal));

        private static IEnumerable<string> Expand(string text)
        {
            var match = Braces().Match(text);
            return !match.Success ? [text] : match.Groups[1].Value.Split(',').SelectMany(
                word => Expand($"{text[..match.Index]}{word}{text[(match.Index + match.Length)..]}"));
        }
    }

    /// <summary>All that an object holds, as text, so that two can be compared.</summary>
    private static class Described
    {
        public static string Of(object? value) => value switch
        {
            null => "null",
            string or IFormattable or bool or JsonElement or Uri => $"{value}",
            IDictionary map => $"{{{string.Join(", ", map.Keys.Cast<object>()
                .Select(key => $"{key}: {Of(map[key])}"))}}}",
            IEnumerable list => $"[{string.Join(", ", list.Cast<object?>().Select(Of))}]",
            _ => $"{value.GetType().Name}({string.Join(", ", Fields(value.GetType())
                .Select(field => $"{field.Name}: {Of(field.GetValue(value))}"))})",
        };

        private static FieldInfo[] Fields(Type type) =>
            type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);
    }

    [GeneratedRegex(@"^(?<setting>\S+) = (?<value>.*?)(?: with (?<with>\S+)| without (?<without>\S+))*$")]
    private static partial Regex Said();

    [GeneratedRegex(@"\{([^{}]+)\}")]
    private static partial Regex Braces();
}
