using System.Text.Json;
using Routing.Cluster.Text;

namespace Routing.Cluster.Events;

/// <summary>A story as JSON.</summary>
public static class FailoverStoryJson
{
    /// <summary>Writes the story as an object.</summary>
    public static void Write(Utf8JsonWriter json, FailoverStory story)
    {
        json.WriteStartObject();
        json.WriteString("kind", story.Kind);
        json.WriteString("from", story.From);
        json.WriteString("to", story.To);
        json.WriteNumber("term", story.Term);
        json.WriteNumber("timeline", story.Timeline);
        json.WriteBoolean("complete", story.IsComplete);
        json.WriteNumber("total_ms", Milliseconds(story.Total));
        json.WriteStartArray("phases");
        foreach (var phase in story.Phases)
        {
            Write(json, phase);
        }
        json.WriteEndArray();
        WriteAsked(json, story.Race);
        WriteReason(json, "cause", story.Cause);
        WriteReason(json, "rule", story.Rule);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, StoryPhase phase)
    {
        json.WriteStartObject();
        json.WriteString("name", phase.Name);
        json.WriteString("time", phase.Time is { } time ? IsoTime.FormatUtc(time) : null);
        if (phase.Took is { } took)
        {
            json.WriteNumber("took_ms", Milliseconds(took));
        }
        else
        {
            json.WriteNull("took_ms");
        }
        json.WriteString("member", phase.Member);
        json.WriteString("text", phase.Text);
        json.WriteEndObject();
    }

    private static void WriteAsked(Utf8JsonWriter json, ClusterEvent? race)
    {
        json.WritePropertyName("asked");
        if (race?.Figures is { } figures && figures.TryGetProperty("asked", out var asked)
            && asked.ValueKind == JsonValueKind.Array)
        {
            asked.WriteTo(json);
            return;
        }
        json.WriteStartArray();
        json.WriteEndArray();
    }

    private static void WriteReason(Utf8JsonWriter json, string name, ClusterEvent? item)
    {
        if (item is null)
        {
            json.WriteNull(name);
            return;
        }
        json.WriteStartObject(name);
        json.WriteString("member", item.Member);
        json.WriteString("code", item.Code);
        json.WriteString("text", item.Text);
        json.WriteEndObject();
    }

    private static long Milliseconds(TimeSpan span) => (long)Math.Round(span.TotalMilliseconds);
}
