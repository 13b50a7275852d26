using System.Text.Json.Nodes;
using Routing.Settings;

namespace Routing.Cli.Editing;

/// <summary>Changes a configuration as the options of <c>edit-config</c> say.</summary>
internal static class ConfigChange
{
    private const string Parameters = "postgresql.parameters";

    /// <summary>Reads a YAML document that is a mapping.</summary>
    /// <exception cref="CtlException">It is none.</exception>
    public static JsonObject Read(string text, string source)
    {
        try
        {
            return YamlText.ReadMapping(text, source).Root;
        }
        catch (SettingsFormatException e)
        {
            throw new CtlException(e.Message, hint: null, e);
        }
    }

    /// <summary>
    /// Sets, or with null removes, what <c>PATH=VALUE</c> names. An object that becomes empty by that goes too.
    /// </summary>
    /// <exception cref="CtlException">The text is no such pair.</exception>
    public static void Set(JsonObject config, string pair)
    {
        var parts = pair.Split('=', 2);
        var path = parts[0].Trim();
        if (parts.Length < 2 || path.Length == 0 || path.Split('.').Any(name => name.Length == 0))
        {
            throw new CtlException($"Invalid parameter setting {pair}",
                "Write PATH=VALUE, for example loop_wait=5 or postgresql.parameters.work_mem=64MB.");
        }
        JsonNode? value;
        try
        {
            value = YamlText.ReadValue(parts[1], path);
        }
        catch (SettingsFormatException e)
        {
            throw new CtlException($"Invalid parameter setting {pair}: {e.Message}", hint: null, e);
        }
        Put(config, Names(path), value);
    }

    /// <summary>Sets a parameter of PostgreSQL, or removes it with the value <c>null</c>.</summary>
    /// <exception cref="CtlException">The text is no pair.</exception>
    public static void SetParameter(JsonObject config, string pair) => Set(config, $"{Parameters}.{pair.TrimStart()}");

    /// <summary>
    /// The wanted configuration with the fields in the order in which they stood: what did not change reads as before.
    /// </summary>
    public static JsonObject InOrderOf(JsonObject before, JsonObject wanted)
    {
        var ordered = new JsonObject();
        foreach (var name in before.Select(field => field.Key).Where(wanted.ContainsKey)
            .Concat(wanted.Select(field => field.Key).Where(name => !before.ContainsKey(name))))
        {
            ordered[name] = before[name] is JsonObject inner && wanted[name] is JsonObject wantedInner
                ? InOrderOf(inner, wantedInner)
                : wanted[name]?.DeepClone();
        }
        return ordered;
    }

    /// <summary>The name of a parameter may have dots itself.</summary>
    private static string[] Names(string path) => path.StartsWith($"{Parameters}.", StringComparison.Ordinal)
        ? ["postgresql", "parameters", path[(Parameters.Length + 1)..]]
        : path.Split('.');

    private static void Put(JsonObject config, ReadOnlySpan<string> names, JsonNode? value)
    {
        var name = names[0];
        if (names.Length == 1)
        {
            if (value is null)
            {
                config.Remove(name);
            }
            else
            {
                config[name] = value;
            }
            return;
        }
        if (config[name] is not JsonObject inner)
        {
            if (value is null)
            {
                return;
            }
            config[name] = inner = [];
        }
        Put(inner, names[1..], value);
        if (value is null && inner.Count == 0)
        {
            config.Remove(name);
        }
    }
}
