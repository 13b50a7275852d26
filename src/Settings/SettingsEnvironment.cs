using System.Collections;
using System.Collections.Immutable;
using System.Text;
using System.Text.Json.Nodes;

namespace Routing.Settings;

/// <summary>The environment variables of one prefix, taken once and kept for every later reload.</summary>
/// <remarks>
/// A value may also stand in a file: the variable's name with <c>_FILE</c> gives its path, or the file has the
/// variable's name and stands among the credentials that systemd hands over. Files are read anew by each reload.
/// </remarks>
/// <param name="Prefix">For example <c>PATRONI_</c>.</param>
/// <param name="Values">By name without the prefix; empty values are left out, they count as unset.</param>
/// <param name="CredentialsDirectory">
/// Where systemd puts the service's credentials (<c>CREDENTIALS_DIRECTORY</c>); null: nowhere.
/// </param>
public sealed record SettingsEnvironment(
    string Prefix, ImmutableSortedDictionary<string, string> Values, string? CredentialsDirectory = null)
{
    private const string FileEnding = "_FILE";
    private const string CredentialsVariable = "CREDENTIALS_DIRECTORY";
    private static readonly UTF8Encoding s_strict =
        new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The name of the variable that holds a whole YAML text.</summary>
    public const string WholeConfiguration = "CONFIGURATION";

    /// <summary>No variables at all.</summary>
    public static SettingsEnvironment Empty(string prefix) => From(prefix, []);

    /// <summary>
    /// The variables among <paramref name="variables"/> whose names begin with <paramref name="prefix"/>, and the
    /// directory of the credentials.
    /// </summary>
    public static SettingsEnvironment From(string prefix, IEnumerable<KeyValuePair<string, string>> variables)
    {
        var set = variables.Where(pair => pair.Value.Length > 0).ToList();
        return new SettingsEnvironment(
            prefix,
            set.Where(pair => pair.Key.StartsWith(prefix, StringComparison.Ordinal))
                .ToImmutableSortedDictionary(
                    pair => pair.Key[prefix.Length..], pair => pair.Value, StringComparer.Ordinal),
            set.Where(pair => pair.Key == CredentialsVariable).Select(pair => pair.Value).FirstOrDefault());
    }

    /// <summary>Whether there is no variable and no credential of the prefix.</summary>
    public bool IsEmpty => Values.IsEmpty && !CredentialNames().Any();

    /// <summary>Takes the variables out of this process, so that no child process inherits a password.</summary>
    public static SettingsEnvironment TakeFromProcess(string prefix)
    {
        var all = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .Select(entry => KeyValuePair.Create((string)entry.Key, entry.Value as string ?? ""))
            .ToList();
        foreach (var (name, _) in all.Where(pair => pair.Key.StartsWith(prefix, StringComparison.Ordinal)))
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
            known.Add(variable.Suffix + FileEnding);
            if (Find(variable, report) is not var (text, name))
            {
                continue;
            }
            try
            {
                Put(tree, variable.Path, Read(text, variable.Kind, name, report), name);
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
        foreach (var file in CredentialNames().Where(name => !known.Contains(name[Prefix.Length..])))
        {
            report.Warning(new SettingsProblem(
                file, "", null, "this credential has the name of no known environment variable and has no effect"));
        }
        return tree;
    }

    /// <summary>A variable's text and where it stands; null when it is not set, or cannot be read.</summary>
    private (string Text, string Origin)? Find(EnvironmentVariable variable, SettingsReport report)
    {
        var name = Prefix + variable.Suffix;
        var isSet = Values.TryGetValue(variable.Suffix, out var text);
        if (Values.TryGetValue(variable.Suffix + FileEnding, out var file))
        {
            if (!isSet)
            {
                return ReadFile(file, variable, name + FileEnding, report);
            }
            report.Error(new SettingsProblem(
                name, variable.Path, null, $"is set as well as {name}{FileEnding}: one of the two may be"));
            return null;
        }
        if (isSet)
        {
            return (text!, name);
        }
        var credential = CredentialsDirectory is null ? null : Path.Combine(CredentialsDirectory, name);
        return File.Exists(credential) ? ReadFile(credential, variable, credential, report) : null;
    }

    /// <summary>What a file holds, without the end of its last line.</summary>
    private static (string Text, string Origin)? ReadFile(
        string file, EnvironmentVariable variable, string origin, SettingsReport report)
    {
        string text;
        try
        {
            text = File.ReadAllText(file, s_strict);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException
            or DecoderFallbackException)
        {
            report.Error(new SettingsProblem(origin, variable.Path, null, $"can't be read: {problem.Message}"));
            return null;
        }
        text = text.EndsWith('\n') ? text[..^1] : text;
        text = text.EndsWith('\r') ? text[..^1] : text;
        if (text.Length > 0)
        {
            return (text, origin);
        }
        report.Error(new SettingsProblem(origin, variable.Path, null, $"the file {file} is empty"));
        return null;
    }

    private IEnumerable<string> CredentialNames() =>
        !Directory.Exists(CredentialsDirectory)
            ? []
            : Directory.EnumerateFiles(
                    CredentialsDirectory, Prefix + "*", new EnumerationOptions { IgnoreInaccessible = true })
                .Select(file => Path.GetFileName(file))
                .Order(StringComparer.Ordinal);

    private static JsonNode? Read(
        string text, EnvironmentKind kind, string name, SettingsReport report)
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
                    return YamlText.ReadValue(trimmed, name, report.Warning) as JsonArray ?? throw NotOfKind(name);
                }
                return new JsonArray(
                    [.. trimmed.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                    .Select(word => (JsonNode?)JsonValue.Create(word.Trim('\'', '"')))]);
            case EnvironmentKind.Map:
                return YamlText.ReadValue(
                    trimmed.StartsWith('{') ? trimmed : $"{{{trimmed}}}", name, report.Warning) as JsonObject
                    ?? throw NotOfKind(name);
            case EnvironmentKind.TextOrList when isList && !trimmed.Contains("%(", StringComparison.Ordinal):
                return YamlText.ReadValue(trimmed, name, report.Warning) as JsonArray ?? throw NotOfKind(name);
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
