using System.Buffers;
using System.Text;
using System.Text.Json;
using Routing.Cluster.Text;

namespace Routing.Cluster;

/// <summary>
/// The end of a primary that was shut down cleanly because its cluster became a standby cluster: nothing was written
/// beyond, so that a remote standby which has this much has everything.
/// </summary>
/// <param name="Lsn">Where the record of its shutdown checkpoint ends.</param>
/// <param name="Timeline">The timeline that it wrote.</param>
/// <param name="SystemId">Its system identifier.</param>
/// <param name="Member">The member that it was.</param>
/// <param name="At">When it ended, with its offset.</param>
public sealed record CleanDemotion(Lsn Lsn, uint Timeline, string SystemId, string Member, string At)
{
    /// <summary>The text of the key.</summary>
    public string Write()
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("lsn", Lsn.ToString());
            json.WriteNumber("timeline", Timeline);
            json.WriteString("system_id", SystemId);
            json.WriteString("member", Member);
            json.WriteString("at", At);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>Reads the text of the key; null when it tells no position.</summary>
    public static CleanDemotion? Read(string? text)
    {
        if (text is null || !JsonText.TryParse(text, out var json, out _) || json.ValueKind != JsonValueKind.Object
            || !Lsn.TryParse(Text("lsn"), out var lsn) || !uint.TryParse(Text("timeline"), out var timeline))
        {
            return null;
        }
        return new CleanDemotion(lsn, timeline, Text("system_id"), Text("member"), Text("at"));

        string Text(string name) => json.TryGetProperty(name, out var value) ? value.ToString() : "";
    }
}
