using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster.Text;

namespace Routing.Cluster.Keys;

/// <summary>
/// Writes a member key, its fields in Patroni's order, and the fields that other documents share with it.
/// </summary>
public static class MemberWriter
{
    internal static void Write(Utf8JsonWriter json, Member member)
    {
        json.WriteStartObject();
        json.WriteString("conn_url", member.ConnUrl);
        json.WriteString("api_url", member.ApiUrl);
        json.WriteString("state", member.State.ToWire());
        json.WriteString("role", member.Role.ToWire());
        json.WriteString("version", member.Version.Length > 0 ? member.Version : RoutingVersion.Compatible);
        KeyWriter.WriteIfAny(json, "proxy_url", member.ProxyUrl);
        KeyWriter.WriteIfAny(json, "site", member.Site);
        if (member.CheckpointAfterPromotePending)
        {
            json.WriteBoolean("checkpoint_after_promote", false);
        }
        if (!member.Tags.Values.IsEmpty)
        {
            Tags(json, EffectiveTags.From(member.Tags.Values));
        }
        if (member.PendingRestart)
        {
            json.WriteBoolean("pending_restart", true);
            PendingRestartReason(json, member.PendingRestartReason);
        }
        Position(json, "xlog_location", member.XlogLocation);
        Position(json, "replay_lsn", member.ReplayLsn);
        Position(json, "receive_lsn", member.ReceiveLsn);
        KeyWriter.WriteIfAny(json, "replication_state", member.ReplicationState);
        if (member.Timeline is > 0 and var timeline)
        {
            json.WriteNumber("timeline", timeline);
        }
        if (member.ScheduledRestart is { } restart)
        {
            ScheduledRestart(json, restart);
        }
        if (member.Pause)
        {
            json.WriteBoolean("pause", true);
        }
        if (member.Routing is { } routing)
        {
            json.WriteStartObject("routing");
            json.WriteString("version", routing.Version);
            json.WriteBoolean("fence", routing.Fence);
            KeyWriter.WriteIfAny(json, "upstream", routing.Upstream);
            KeyWriter.WriteIfAny(json, "copies_from", routing.CopiesFrom);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    /// <summary>The field <c>tags</c>, when there are any.</summary>
    public static void Tags(Utf8JsonWriter json, MemberTags tags)
    {
        ArgumentNullException.ThrowIfNull(json);
        ArgumentNullException.ThrowIfNull(tags);
        if (tags.Values.IsEmpty)
        {
            return;
        }
        json.WriteStartObject("tags");
        foreach (var (name, value) in tags.Values)
        {
            json.WritePropertyName(name);
            value.WriteTo(json);
        }
        json.WriteEndObject();
    }

    /// <summary>The field <c>pending_restart_reason</c>, when there is any.</summary>
    public static void PendingRestartReason(
        Utf8JsonWriter json, ImmutableSortedDictionary<string, ParameterChange> reason)
    {
        ArgumentNullException.ThrowIfNull(json);
        ArgumentNullException.ThrowIfNull(reason);
        if (reason.IsEmpty)
        {
            return;
        }
        json.WriteStartObject("pending_restart_reason");
        foreach (var (name, change) in reason)
        {
            json.WriteStartObject(name);
            json.WriteString("old_value", change.OldValue);
            json.WriteString("new_value", change.NewValue);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    /// <summary>The field <c>scheduled_restart</c>.</summary>
    internal static void ScheduledRestart(Utf8JsonWriter json, ScheduledRestart restart)
    {
        json.WriteStartObject("scheduled_restart");
        json.WriteString("schedule", IsoTime.Format(restart.Schedule));
        KeyWriter.WriteIfAny(json, "role", restart.Role);
        KeyWriter.WriteIfAny(json, "postgres_version", restart.PostgresVersion);
        if (restart.RestartPending)
        {
            json.WriteBoolean("restart_pending", true);
        }
        if (restart.TimeoutSeconds is { } timeout)
        {
            json.WriteNumber("timeout", timeout);
        }
        KeyWriter.WriteIfAny(json, "postmaster_start_time", restart.PostmasterStartTime);
        json.WriteEndObject();
    }

    private static void Position(Utf8JsonWriter json, string name, Lsn? position)
    {
        if (position is { } value)
        {
            json.WriteNumber(name, value.Value);
        }
    }
}
