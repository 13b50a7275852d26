using System.Collections.Immutable;
using System.Text;

namespace Routing.Settings;

/// <summary>
/// Puts the sources of a configuration together: a file or a directory of files, the environment over it.
/// </summary>
public static class SettingsLoader
{
    private static readonly UTF8Encoding s_strict =
        new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads everything; what is wrong goes into <paramref name="report"/>.</summary>
    /// <param name="path">
    /// A YAML file, or a directory whose <c>*.yml</c> and <c>*.yaml</c> files are merged in the order of their names;
    /// null, or a path where nothing is: a whole configuration in the environment, or the environment's variables
    /// alone.
    /// </param>
    /// <param name="environment">The variables of the program's prefix.</param>
    /// <param name="schema">The variables that the program understands.</param>
    /// <param name="report">Collects problems.</param>
    public static SettingsTree Load(
        string? path, SettingsEnvironment environment, ImmutableArray<EnvironmentVariable> schema,
        SettingsReport report)
    {
        ArgumentNullException.ThrowIfNull(environment);
        ArgumentNullException.ThrowIfNull(report);
        var exists = path is not null && (File.Exists(path) || Directory.Exists(path));
        if (!exists && environment.Values.TryGetValue(SettingsEnvironment.WholeConfiguration, out var whole))
        {
            return ReadText(whole, environment.Prefix + SettingsEnvironment.WholeConfiguration, report);
        }
        if (path is not null && !exists)
        {
            var problem = new SettingsProblem(path, "", null, "there is no such file or directory");
            if (environment.IsEmpty)
            {
                report.Error(problem);
                return new SettingsTree();
            }
            report.Warning(problem with { Message = problem.Message + "; the environment alone is the configuration" });
        }
        var tree = new SettingsTree();
        foreach (var file in exists ? FilesOf(path!) : [])
        {
            tree.Patch(ReadFile(file, report));
        }
        tree.Patch(environment.ToTree(schema, report));
        if (tree.Root.Count == 0 && report.Errors.IsEmpty)
        {
            report.Error(new SettingsProblem(path ?? environment.Prefix + "*", "", null, "the configuration is empty"));
        }
        return tree;
    }

    private static IEnumerable<string> FilesOf(string path) =>
        File.Exists(path)
            ? [path]
            : Directory.EnumerateFiles(path)
                .Where(file => Path.GetExtension(file) is ".yml" or ".yaml")
                .Order(StringComparer.Ordinal);

    private static SettingsTree ReadFile(string file, SettingsReport report)
    {
        try
        {
            using var reader = new StreamReader(file, s_strict, detectEncodingFromByteOrderMarks: true);
            return ReadText(reader.ReadToEnd(), file, report);
        }
        catch (DecoderFallbackException)
        {
            report.Error(new SettingsProblem(file, "", null, "is not UTF-8"));
            return new SettingsTree();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            report.Error(new SettingsProblem(file, "", null, $"can't be read: {e.Message}"));
            return new SettingsTree();
        }
    }

    private static SettingsTree ReadText(string text, string source, SettingsReport report)
    {
        try
        {
            return YamlText.ReadMapping(text, source, report.Warning);
        }
        catch (SettingsFormatException e)
        {
            report.Error(e.Problem);
            return new SettingsTree();
        }
    }
}
