using System.Collections.Immutable;
using System.Text.Json;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Cluster.Text;

namespace Routing.Agent.Rest;

/// <summary>The body of <c>POST /failsafe</c>, both ways.</summary>
internal static class FailsafeJson
{
    /// <summary>Writes the message.</summary>
    public static byte[] Write(FailsafeMessage message)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("name", message.Name);
            json.WriteString("conn_url", message.ConnUrl);
            json.WriteString("api_url", message.ApiUrl);
            if (message.Slots is { } slots)
            {
                json.WriteStartObject("slots");
                foreach (var (name, position) in slots)
                {
                    json.WriteNumber(name, position.Value);
                }
                json.WriteEndObject();
            }
            if (message.Ttl is { } ttl)
            {
                json.WriteStartObject("routing");
                json.WriteNumber("ttl", ttl.TotalSeconds);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        return stream.ToArray();
    }

    /// <summary>
    /// Reads the message; null when one of its texts is missing. Slots with a position that is no number are left out.
    /// </summary>
    public static FailsafeMessage? Read(JsonElement body)
    {
        if (RequestBody.Text(body, "name") is not { } name
            || RequestBody.Text(body, "conn_url") is not { } connUrl
            || RequestBody.Text(body, "api_url") is not { } apiUrl)
        {
            return null;
        }
        ImmutableSortedDictionary<string, Lsn>? slots = null;
        if (body.TryGetProperty("slots", out var given) && given.ValueKind == JsonValueKind.Object)
        {
            slots = ImmutableSortedDictionary<string, Lsn>.Empty.WithComparers(StringComparer.Ordinal);
            foreach (var slot in given.EnumerateObject())
            {
                if (Scalars.TryInteger(slot.Value, out var position) && position >= 0)
                {
                    slots = slots.SetItem(slot.Name, new Lsn((ulong)position));
                }
            }
        }
        return new FailsafeMessage(name, connUrl, apiUrl, slots)
        {
            Ttl = body.TryGetProperty("routing", out var routing) && routing.ValueKind == JsonValueKind.Object
                ? FailsafeNotice.Seconds(routing, "ttl")
                : null,
        };
    }
}
