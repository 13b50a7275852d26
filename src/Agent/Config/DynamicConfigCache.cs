using System.Text;
using System.Text.Json;
using Routing.Agent.Native;
using Routing.Cluster;
using Routing.Cluster.Keys;

namespace Routing.Agent.Config;

/// <summary>
/// The last dynamic configuration, kept in the data directory: for a start without one in the DCS, and to write a lost
/// one anew.
/// </summary>
/// <remarks>The file has Patroni's name, so that a member may change hands with its data.</remarks>
internal static class DynamicConfigCache
{
    private const string FileName = "patroni.dynamic.json";

    private static readonly UTF8Encoding s_strict =
        new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>What was kept; null when there is nothing, or nothing that can be used.</summary>
    /// <param name="dataDirectory">Where the file lies.</param>
    /// <param name="warn">
    /// Is told why a file can't be used. It is a cache: the bootstrap section or the DCS takes its place.
    /// </param>
    public static JsonElement? Read(string dataDirectory, Action<string> warn)
    {
        var file = Path.Combine(dataDirectory, FileName);
        if (!Path.Exists(file))
        {
            return null;
        }
        try
        {
            using var reader = new StreamReader(file, s_strict, detectEncodingFromByteOrderMarks: true);
            var config = JsonElement.Parse(reader.ReadToEnd());
            if (config.ValueKind == JsonValueKind.Object)
            {
                return config;
            }
            warn($"{file} counts as missing: it holds no JSON object");
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException or JsonException
            or DecoderFallbackException)
        {
            var why = problem is DecoderFallbackException ? "it is not UTF-8" : problem.Message;
            warn($"{file} counts as missing: {why}");
        }
        return null;
    }

    /// <summary>Keeps a configuration that came from the DCS; nothing while the directory holds no data yet.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">As before.</exception>
    public static void Write(string dataDirectory, DynamicConfig config)
    {
        if (config.ModRevision == 0 || !File.Exists(Path.Combine(dataDirectory, "PG_VERSION")))
        {
            return;
        }
        var file = Path.Combine(dataDirectory, FileName);
        var text = KeyWriter.Config(config.Raw);
        if (Holds(file, text))
        {
            return;
        }
        WholeFile.Replace(file, text);
    }

    private static bool Holds(string file, string text)
    {
        try
        {
            return File.Exists(file) && File.ReadAllText(file) == text;
        }
        catch (UnauthorizedAccessException)
        {
            return false;   // the file belongs to another user: it is replaced
        }
    }
}
