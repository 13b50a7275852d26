using System.Text.Json;
using Routing.Cluster.Keys;
using Routing.Cluster.Text;

namespace Routing.Cluster.Overview;

/// <summary>Writes a <see cref="ClusterOverview"/> as the document of <c>GET /cluster</c>.</summary>
public static class ClusterOverviewJson
{
    private const string Unknown = "unknown";

    /// <summary>The document as compact text.</summary>
    public static string Write(ClusterOverview overview, string scope) =>
        JsonText.Write(json => Write(json, overview, scope));

    /// <summary>Writes the document.</summary>
    public static void Write(Utf8JsonWriter json, ClusterOverview overview, string scope)
    {
        json.WriteStartObject();
        json.WriteStartArray("members");
        foreach (var member in overview.Members)
        {
            Write(json, member);
        }
        json.WriteEndArray();
        json.WriteString("scope", scope);
        if (overview.Pause)
        {
            json.WriteBoolean("pause", true);
        }
        if (overview.ScheduledSwitchover is { ScheduledAt: { } at } request)
        {
            json.WriteStartObject("scheduled_switchover");
            json.WriteString("at", IsoTime.Format(at));
            KeyWriter.WriteIfAny(json, "from", request.Leader);
            KeyWriter.WriteIfAny(json, "to", request.Candidate);
            KeyWriter.WriteIfAny(json, "site", request.Site);
            json.WriteEndObject();
        }
        if (overview.Intent is { } intent)
        {
            json.WriteStartObject("switchover");
            json.WriteString("id", intent.Id);
            json.WriteString("from", intent.Leader);
            KeyWriter.WriteIfAny(json, "to", intent.Candidate);
            json.WriteNumber("grace_ms", (long)intent.Grace.TotalMilliseconds);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, MemberOverview member)
    {
        json.WriteStartObject();
        json.WriteString("name", member.Name);
        json.WriteString("role", member.Role);
        json.WriteString("state", member.State);
        json.WriteString("api_url", member.ApiUrl);
        if (member.Host is { } host && member.Port is { } port)
        {
            json.WriteString("host", host);
            json.WriteNumber("port", port);
        }
        KeyWriter.WriteIfAny(json, "site", member.Site);
        if (member.Timeline is { } timeline)
        {
            json.WriteNumber("timeline", timeline);
        }
        if (member.PendingRestart)
        {
            json.WriteBoolean("pending_restart", true);
            MemberWriter.PendingRestartReason(json, member.PendingRestartReason);
        }
        if (member.ScheduledRestart is { } restart)
        {
            MemberWriter.ScheduledRestart(json, restart);
        }
        MemberWriter.Tags(json, member.Tags);
        if (!member.IsLockHolder)
        {
            WritePosition(json, "receive_lag", "receive_lsn", member.ReceiveLagBytes, member.ReceiveLsn);
            WritePosition(json, "replay_lag", "replay_lsn", member.ReplayLagBytes, member.ReplayLsn);
            WritePosition(json, "lag", "lsn", member.LagBytes, member.Lsn);
        }
        json.WriteEndObject();
    }

    private static void WritePosition(Utf8JsonWriter json, string lagName, string lsnName, long? lag, Lsn? lsn)
    {
        if (lag is { } bytes)
        {
            json.WriteNumber(lagName, bytes);
        }
        else
        {
            json.WriteString(lagName, Unknown);
        }
        json.WriteString(lsnName, lsn?.ToString() ?? Unknown);
    }
}
