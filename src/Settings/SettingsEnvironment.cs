using System.Collections;
using System.Collections.Immutable;
using System.Text.Json.Nodes;

namespace Routing.Settings;

/// <summary>The environment variables of one prefix, taken once and kept for every later reload.</summary>
/// <param name="Prefix">For example <c>PATRONI_</c>.</param>
/// <param name="Values">By name without the prefix; empty values are left out, they count as unset.</param>
public sealed record SettingsEnvironment(string Prefix, ImmutableSortedDictionary<string, string> Values)
{
    /// <summary>The name of the variable that holds a whole YAML text.</summary>
    public const string WholeConfiguration = "CONFIGURATION";

    /// <summary>No variables at all.</summary>
    public static SettingsEnvironment Empty(string prefix) => From(prefix, []);

    /// <summary>
    /// The variables among <paramref name="variables"/> whose names begin with <paramref name="prefix"/>.
    /// </summary>
    public static SettingsEnvironment From(string prefix, IEnumerable<KeyValuePair<string, string>> variables) => new(
        prefix,
        variables.Where(pair => pair.Key.StartsWith(prefix, StringComparison.Ordinal) && pair.Value.Length > 0)
            .ToImmutableSortedDictionary(
                pair => pair.Key[prefix.Length..], pair => pair.Value, StringComparer.Ordinal));

    /// <summary>Takes the variables out of this process, so that no child process inherits a password.</summary>
    public static SettingsEnvironment TakeFromProcess(string prefix)
    {
        var all = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .Select(entry => KeyValuePair.Create((string)entry.Key, entry.Value as string ?? ""))
            .Where(pair => pair.Key.StartsWith(prefix, StringComparison.Ordinal))
            .ToList();
        foreach (var (name, _) in all)
        {
            Environment.SetEnvironmentVariable(name, null);
        }
        return From(prefix, all);
    }

    /// <summary>The variables as a tree of settings, to be patched over a file.</summary>
    internal SettingsTree ToTree(ImmutableArray<EnvironmentVariable> schema, SettingsReport report)
    {
        var tree = new SettingsTree();
        var known = new HashSet<string>(StringComparer.Ordinal) { WholeConfiguration };
        foreach (var variable in schema)
        {
            known.Add(variable.Suffix);
            if (!Values.TryGetValue(variable.Suffix, out var text))
            {
                continue;
            }
            var name = Prefix + variable.Suffix;
            try
            {
                Put(tree, variable.Path, Read(text, variable.Kind, name), name);
            }
            catch (SettingsFormatException)
            {
                var wanted = variable.Kind == EnvironmentKind.Map ? "a mapping (key: value, …)" : "a list (a, b, …)";
                report.Error(new SettingsProblem(name, variable.Path, text, $"must be {wanted}"));
            }
        }
        foreach (var suffix in Values.Keys.Where(suffix => !known.Contains(suffix)))
        {
            report.Warning(new SettingsProblem(
                Prefix + suffix, "", null, "this environment variable is not known and has no effect"));
        }
        return tree;
    }

    private static JsonNode? Read(string text, EnvironmentKind kind, string name)
    {
        var trimmed = text.Trim();
        var isList = trimmed.StartsWith('-') || trimmed.StartsWith('[');
        switch (kind)
        {
            case EnvironmentKind.List:
                // An IPv6 address begins with a bracket too: only a closing bracket at the end makes a YAML list of it.
                var bracketed = trimmed.StartsWith('[') && trimmed.EndsWith(']')
                    && !trimmed.StartsWith("[::", StringComparison.Ordinal);
                if (bracketed || trimmed.StartsWith('-'))
                {
                    return YamlText.ReadValue(trimmed, name) as JsonArray ?? throw NotOfKind(name);
                }
                return new JsonArray(
                    [.. trimmed.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                    .Select(word => (JsonNode?)JsonValue.Create(word.Trim('\'', '"')))]);
            case EnvironmentKind.Map:
                return YamlText.ReadValue(trimmed.StartsWith('{') ? trimmed : $"{{{trimmed}}}", name) as JsonObject
                    ?? throw NotOfKind(name);
            case EnvironmentKind.TextOrList when isList && !trimmed.Contains("%(", StringComparison.Ordinal):
                return YamlText.ReadValue(trimmed, name) as JsonArray ?? throw NotOfKind(name);
            default:
                return JsonValue.Create(text);
        }
    }

    private static SettingsFormatException NotOfKind(string name) =>
        new(new SettingsProblem(name, "", null, "has another kind"));

    private static void Put(SettingsTree tree, string path, JsonNode? value, string origin)
    {
        var keys = path.Split('.');
        var at = tree.Root;
        foreach (var key in keys[..^1])
        {
            if (at[key] is not JsonObject next)
            {
                next = [];
                at[key] = next;
            }
            at = next;
        }
        at[keys[^1]] = value;
        tree.SetOrigin(path, origin);
    }
}
