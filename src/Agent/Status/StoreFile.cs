using System.Globalization;
using System.Text.Json;
using Routing.Agent.Native;
using Routing.Dcs;

namespace Routing.Agent.Status;

/// <summary>
/// Which store the agent knew last, kept in the data directory, so that its next process knows another life when it
/// sees one.
/// </summary>
/// <remarks>
/// After a disaster all agents are often stopped, etcd is restored, and the agents are started: one that knew nothing
/// would believe the leader key that came back. The file is written once for each leader.
/// </remarks>
/// <param name="dataDirectory">PostgreSQL's data directory; without one there is nothing to keep.</param>
internal sealed class StoreFile(string dataDirectory)
{
    /// <summary>The file's name in the data directory.</summary>
    public const string FileName = "routing.store.json";

    private StoreMark _kept;

    private string Path => System.IO.Path.Combine(dataDirectory, FileName);

    /// <summary>What was kept last; a mark without a cluster when there is nothing that can be read.</summary>
    public StoreMark Recall()
    {
        try
        {
            if (File.Exists(Path)
                && JsonElement.Parse(File.ReadAllText(Path)) is { ValueKind: JsonValueKind.Object } kept
                && kept.TryGetProperty("cluster_id", out var id) && id.ValueKind == JsonValueKind.String
                && ulong.TryParse(id.GetString(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var cluster)
                && kept.TryGetProperty("leader_created", out var created) && created.TryGetInt64(out var revision)
                && revision >= 0)
            {
                return _kept = new StoreMark(cluster, revision);
            }
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException or JsonException)
        {
            // Unreadable is like lost.
        }
        return default;
    }

    /// <summary>Keeps it, when it is another than the last.</summary>
    /// <exception cref="IOException">It cannot be kept.</exception>
    /// <exception cref="UnauthorizedAccessException">The same.</exception>
    public void Keep(StoreMark mark)
    {
        if (mark == _kept || mark.LeaderCreated == 0
            || !File.Exists(System.IO.Path.Combine(dataDirectory, "PG_VERSION")))
        {
            return;
        }
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            writer.WriteString("cluster_id", mark.ClusterId.ToString("x", CultureInfo.InvariantCulture));
            writer.WriteNumber("leader_created", mark.LeaderCreated);
            writer.WriteEndObject();
        }
        WholeFile.Replace(Path, stream.ToArray());
        _kept = mark;
    }
}
