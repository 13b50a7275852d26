using System.Text.Json;
using Routing.Cluster.Text;

namespace Routing.Cluster.Events;

/// <summary>An event as JSON: the same object at REST, in a stream and on disk.</summary>
public static class ClusterEventJson
{
    /// <summary>Writes one event.</summary>
    public static void Write(Utf8JsonWriter json, ClusterEvent item)
    {
        json.WriteStartObject();
        json.WriteNumber("id", item.Id);
        json.WriteString("time", IsoTime.FormatUtc(item.Time));
        json.WriteString("member", item.Member);
        json.WriteString("kind", item.Kind);
        json.WriteString("code", item.Code);
        json.WriteString("text", item.Text);
        json.WriteNumber("term", item.Term);
        json.WriteNumber("timeline", item.Timeline);
        if (item.Figures is { } figures)
        {
            json.WritePropertyName("figures");
            figures.WriteTo(json);
        }
        json.WriteEndObject();
    }

    /// <summary>One event on one line, in ASCII, without a line break.</summary>
    public static string Line(ClusterEvent item) => JsonText.Write(json => Write(json, item));

    /// <summary>Reads one event; null for what is none.</summary>
    public static ClusterEvent? Read(JsonElement json) =>
        json.ValueKind == JsonValueKind.Object && Number(json, "id") is { } id && Text(json, "kind") is { } kind
        && Text(json, "code") is { } code && IsoTime.TryParse(Text(json, "time"), out var time)
            ? new ClusterEvent(
                id, time, Text(json, "member") ?? "", kind, code, Text(json, "text") ?? "",
                Number(json, "term") ?? 0, (uint)Math.Clamp(Number(json, "timeline") ?? 0, 0, uint.MaxValue),
                json.TryGetProperty("figures", out var figures) && figures.ValueKind == JsonValueKind.Object
                    ? figures
                    : null)
            : null;

    /// <summary>Reads one line; null for what is no event, such as a line that was written only in part.</summary>
    public static ClusterEvent? ReadLine(string line) =>
        JsonText.TryParse(line, out var json, out _) ? Read(json) : null;

    private static string? Text(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static long? Number(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number
            && value.TryGetInt64(out var number)
            ? number
            : null;
}
