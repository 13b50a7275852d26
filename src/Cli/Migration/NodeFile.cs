using Routing.Agent.Config;
using Routing.Cluster.Text;
using Routing.Settings;

namespace Routing.Cli.Migration;

/// <summary>The configuration of one node, read as our agent reads it, without the variables of that node.</summary>
/// <param name="Path">The file, as it was named.</param>
/// <param name="Result">What reading gave.</param>
internal sealed record NodeFile(string Path, AgentSettingsResult Result)
{
    public static NodeFile Read(string path) => new(
        path, AgentSettingsReader.Load(path, SettingsEnvironment.Empty(AgentSettingsReader.EnvironmentPrefix)));

    /// <summary>What could be read; null: nothing.</summary>
    public AgentSettings? Settings => Result.Draft;

    /// <summary>The member's name, or the file where it has none.</summary>
    public string Subject => Settings is { Name.Length: > 0 } settings ? settings.Name : Path;

    /// <summary>Whether the file has a section or a setting at its top.</summary>
    public bool Has(string key) => Result.Tree.Root.ContainsKey(key);

    /// <summary>Whether a setting below a section is there, and not off.</summary>
    public bool IsOn(string section, string key) =>
        Result.Tree.Root[section] is System.Text.Json.Nodes.JsonObject values && values[key] is { } value
            && !(Scalars.TryBoolean(value.ToString(), out var isOn) && !isOn);
}
