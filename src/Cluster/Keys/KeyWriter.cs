using System.Text.Json;
using Routing.Cluster.Text;

namespace Routing.Cluster.Keys;

/// <summary>Writes the values of the cluster's keys, byte for byte as Patroni would.</summary>
public static class KeyWriter
{
    /// <summary>The member's own record, with fields that hold their absent value left out.</summary>
    public static string Member(Member member) => JsonText.Write(json => MemberWriter.Write(json, member));

    /// <summary>
    /// The synchronous state: leader, quorum and sync_standby are always written; names sorted, null when none.
    /// </summary>
    public static string Sync(string? leader, IEnumerable<string> standbys, int quorum)
    {
        var names = string.Join(',', standbys.Order(StringComparer.Ordinal));
        return JsonText.Write(json =>
        {
            json.WriteStartObject();
            json.WriteString("leader", string.IsNullOrEmpty(leader) ? null : leader);
            json.WriteNumber("quorum", quorum);
            json.WriteString("sync_standby", names.Length == 0 ? null : names);
            json.WriteEndObject();
        });
    }

    /// <summary>The leader's status; empty maps are left out.</summary>
    public static string Status(LeaderStatus status) => JsonText.Write(json =>
    {
        json.WriteStartObject();
        json.WriteNumber("optime", status.Optime.Value);
        if (!status.Slots.IsEmpty)
        {
            json.WriteStartObject("slots");
            foreach (var (name, position) in status.Slots)
            {
                json.WriteNumber(name, position.Value);
            }
            json.WriteEndObject();
        }
        if (!status.RetainSlots.IsEmpty)
        {
            json.WriteStartArray("retain_slots");
            foreach (var name in status.RetainSlots)
            {
                json.WriteStringValue(name);
            }
            json.WriteEndArray();
        }
        WriteIfAny(json, "current_site", status.CurrentSite);
        json.WriteEndObject();
    });

    /// <summary>A request for a change of leader.</summary>
    public static string Failover(
        string? leader, string? candidate, DateTimeOffset? scheduledAt, string? site = null) =>
        JsonText.Write(json =>
    {
        json.WriteStartObject();
        WriteIfAny(json, "leader", leader);
        WriteIfAny(json, "member", candidate);
        WriteIfAny(json, "site", site);
        if (scheduledAt is { } at)
        {
            json.WriteString("scheduled_at", IsoTime.Format(at));
        }
        json.WriteEndObject();
    });

    /// <summary>The empty request: what "no request" looks like.</summary>
    public const string NoFailover = "{}";

    /// <summary>A restore of the living cluster.</summary>
    public static string Restore(RestoreRequest restore) => JsonText.Write(json =>
    {
        json.WriteStartObject();
        json.WriteString("id", restore.Id);
        json.WriteString("member", restore.Member);
        json.WriteString("type", restore.Target.Kind);
        WriteIfAny(json, "target", restore.Target.Value);
        json.WriteString("phase", restore.Phase.ToWire());
        if (restore.Timeline > 0)
        {
            json.WriteNumber("timeline", restore.Timeline);
        }
        if (restore.NewTimeline > 0)
        {
            json.WriteNumber("new_timeline", restore.NewTimeline);
        }
        WriteIfAny(json, "backup", restore.Backup);
        WriteIfAny(json, "problem", restore.Problem);
        json.WriteEndObject();
    });

    /// <summary>What a leader announces to the routers.</summary>
    public static string Switchover(SwitchoverIntent intent) => JsonText.Write(json =>
    {
        json.WriteStartObject();
        json.WriteString("id", intent.Id);
        json.WriteString("leader", intent.Leader);
        json.WriteString("candidate", intent.Candidate);
        json.WriteNumber("term", intent.Term);
        json.WriteNumber("left_ms", (long)intent.Grace.TotalMilliseconds);
        if (intent.Deadline is { } at)
        {
            json.WriteString("deadline", IsoTime.Format(at));
        }
        WriteIfAny(json, "called_off", intent.CalledOff);
        json.WriteEndObject();
    });

    /// <summary>What a router says of itself.</summary>
    public static string Router(RouterRecord router) => JsonText.Write(json =>
    {
        json.WriteStartObject();
        json.WriteString("kind", router.Kind);
        WriteIfAny(json, "ready", router.Ready);
        json.WriteNumber("busy", router.Busy);
        json.WriteEndObject();
    });

    /// <summary>The timeline history: time and leader are left out of a line that has neither.</summary>
    public static string History(TimelineHistory history) => JsonText.Write(json =>
    {
        json.WriteStartArray();
        foreach (var line in history.Lines)
        {
            json.WriteStartArray();
            json.WriteNumberValue(line.Timeline);
            json.WriteNumberValue(line.SwitchPoint.Value);
            json.WriteStringValue(line.Reason);
            if (line.Timestamp is not null || line.NewLeader is not null)
            {
                json.WriteStringValue(line.Timestamp);
            }
            if (line.NewLeader is not null)
            {
                json.WriteStringValue(line.NewLeader);
            }
            json.WriteEndArray();
        }
        json.WriteEndArray();
    });

    /// <summary>Failsafe members: name to api_url.</summary>
    public static string Failsafe(IEnumerable<KeyValuePair<string, string>> members) => JsonText.Write(json =>
    {
        json.WriteStartObject();
        foreach (var (name, url) in members)
        {
            json.WriteString(name, url);
        }
        json.WriteEndObject();
    });

    /// <summary>A whole configuration, compact: what goes into the <c>config</c> key at bootstrap or on PUT.</summary>
    public static string Config(JsonElement config) => JsonText.Write(JsonText.Readable(config).WriteTo);

    /// <summary>
    /// The configuration after a patch: objects merge, null deletes, everything else replaces.
    /// Null when nothing changes (scalars compare by their text).
    /// </summary>
    /// <param name="config">The configuration; anything but an object counts as an empty one.</param>
    /// <param name="patch">What to change.</param>
    /// <exception cref="ArgumentException">The patch is not an object.</exception>
    public static string? PatchConfig(JsonElement config, JsonElement patch) =>
        patch.ValueKind != JsonValueKind.Object
            ? throw new ArgumentException("A patch of the configuration must be a JSON object.", nameof(patch))
            : ConfigPatch.Apply(config, JsonText.Readable(patch));

    internal static void WriteIfAny(Utf8JsonWriter json, string name, string? value)
    {
        if (!string.IsNullOrEmpty(value))
        {
            json.WriteString(name, value);
        }
    }
}
