using System.Text.Json;
using Routing.Cluster;

namespace Routing.Agent.Config;

/// <summary>
/// The last dynamic configuration, kept in the data directory: for a start without one in the DCS, and to write a lost
/// one anew.
/// </summary>
/// <remarks>The file has Patroni's name, so that a member may change hands with its data.</remarks>
internal static class DynamicConfigCache
{
    private const string FileName = "patroni.dynamic.json";

    /// <summary>What was kept; null when there is nothing readable.</summary>
    public static JsonElement? Read(string dataDirectory)
    {
        try
        {
            var file = Path.Combine(dataDirectory, FileName);
            return File.Exists(file) && JsonElement.Parse(
                File.ReadAllText(file)) is { ValueKind: JsonValueKind.Object } config ? config : null;
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;   // a cache: the bootstrap section or the DCS takes its place
        }
    }

    /// <summary>Keeps a configuration that came from the DCS; nothing while the directory holds no data yet.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Write(string dataDirectory, DynamicConfig config)
    {
        if (config.ModRevision == 0 || !File.Exists(Path.Combine(dataDirectory, "PG_VERSION")))
        {
            return;
        }
        var file = Path.Combine(dataDirectory, FileName);
        var text = KeyWriter.Config(config.Raw);
        if (File.Exists(file) && File.ReadAllText(file) == text)
        {
            return;
        }
        var next = file + ".new";
        File.WriteAllText(next, text);
        File.SetUnixFileMode(next, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.Move(next, file, overwrite: true);
    }
}
