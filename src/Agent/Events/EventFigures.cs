using System.Buffers;
using System.Collections.Immutable;
using System.Text.Encodings.Web;
using System.Text.Json;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Events;

/// <summary>The figures of events: JSON objects.</summary>
internal static class EventFigures
{
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>An object that <paramref name="content"/> fills.</summary>
    public static JsonElement Of(Action<Utf8JsonWriter> content)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer, s_json))
        {
            json.WriteStartObject();
            content(json);
            json.WriteEndObject();
        }
        return JsonElement.Parse(buffer.WrittenSpan);
    }

    /// <summary>One text.</summary>
    public static JsonElement Of(string name, string? value) => Of(json => json.WriteString(name, value));

    /// <summary>Two texts.</summary>
    public static JsonElement Of(string name, string? value, string second, string? secondValue) => Of(json =>
    {
        json.WriteString(name, value);
        json.WriteString(second, secondValue);
    });

    /// <summary>Whom this member asked before a race, and what each answered.</summary>
    public static JsonElement Race(LocalPostgres own, PeerAnswers answers, ClusterSnapshot? cluster) => Of(json =>
    {
        json.WriteString("lsn", own.WalPosition.ToString());
        json.WriteNumber("timeline", own.Timeline);
        if (cluster is not null)
        {
            json.WriteString("last_leader_lsn", cluster.Status.Optime.ToString());
            json.WriteNumber("lag", cluster.Status.Optime.BytesAheadOf(own.WalPosition));
        }
        json.WriteNumber("took_ms", Math.Round((answers.AnsweredAt - answers.AskedAt).TotalMilliseconds, 1));
        json.WriteStartArray("asked");
        foreach (var report in answers.Reports.Values)
        {
            Write(json, report);
        }
        json.WriteEndArray();
    });

    /// <summary>The phases of a change of leader, in milliseconds.</summary>
    public static JsonElement Phases(ImmutableArray<Status.FailoverPhase> phases) => Of(json =>
    {
        foreach (var phase in phases)
        {
            json.WriteNumber($"{phase.Name}_ms", Math.Round(phase.Duration.TotalMilliseconds, 1));
        }
    });

    private static void Write(Utf8JsonWriter json, PeerReport report)
    {
        json.WriteStartObject();
        json.WriteString("name", report.Name);
        json.WriteBoolean("reachable", report.Reachable);
        json.WriteString("role", report.Reachable ? report.Role.ToWire() : null);
        json.WriteString("lsn", report.Reachable ? report.Position.ToString() : null);
        json.WriteNumber("timeline", report.Timeline);
        json.WriteNumber("priority", report.FailoverPriority);
        json.WriteBoolean("nofailover", report.NoFailover);
        json.WriteString("problem", report.Problem);
        json.WriteEndObject();
    }
}
