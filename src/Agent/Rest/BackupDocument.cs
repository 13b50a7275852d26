using System.Globalization;
using System.Text.Json;
using Routing.Agent.Backups;
using Routing.Cluster.Text;

namespace Routing.Agent.Rest;

/// <summary>The document of <c>GET /backup</c>: what the repository holds, and how the archiver does.</summary>
internal static class BackupDocument
{
    public static void Write(Utf8JsonWriter json, BackupReport report, string member, DateTimeOffset now)
    {
        json.WriteStartObject();
        json.WriteString("member", member);
        json.WriteString("time", IsoTime.Format(now));
        json.WriteString("stanza", report.Stanza);
        json.WriteString("problem", report.Problem);
        json.WriteNumber("maximum_age", (long)report.MaximumAge.TotalSeconds);
        json.WriteStartArray("backups");
        foreach (var backup in report.Backups)
        {
            json.WriteStartObject();
            json.WriteString("label", backup.Label);
            json.WriteString("type", backup.Type);
            json.WriteString("start", IsoTime.Format(backup.Start));
            json.WriteString("stop", IsoTime.Format(backup.Stop));
            json.WriteString("stop_lsn", backup.StopLsn);
            json.WriteNumber("timeline", TimelineOf(backup.StopWal));
            json.WriteNumber("size", backup.Size);
            json.WriteBoolean("error", backup.HasError);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteString("first_wal", report.Wal?.First);
        json.WriteString("last_wal", report.Wal?.Last);
        json.WriteString("missing_wal", report.MissingWal);
        json.WriteString("wal_problem", report.WalProblem);
        json.WritePropertyName("archiver");
        if (report.Archiver is { } archiver)
        {
            json.WriteStartObject();
            json.WriteBoolean("primary", archiver.IsPrimary);
            json.WriteBoolean("on", archiver.IsOn);
            json.WriteString("last_wal", archiver.Last);
            json.WriteString("failed_wal", archiver.Failed);
            json.WriteBoolean("fails", archiver.FailsNow);
            json.WriteNumber("failures", archiver.Failures);
            json.WriteEndObject();
        }
        else
        {
            json.WriteNullValue();
        }
        json.WriteEndObject();
    }

    private static uint TimelineOf(string? segment) =>
        segment is { Length: >= 8 }
        && uint.TryParse(segment.AsSpan(0, 8), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var timeline)
            ? timeline
            : 0;
}
