using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster.Text;

namespace Routing.Cluster.Keys;

/// <summary>Reads the values of the small keys: what can't be read becomes a problem and the key's "nothing".</summary>
internal static class KeyReader
{
    public static DynamicConfig? Config(RawKey key, List<string> problems) =>
        Object(key, problems) is { } json ? DynamicConfigReader.Read(json, key.ModRevision) : null;

    public static TimelineHistory? History(RawKey key, List<string> problems)
    {
        if (!TryParse(key, problems, out var json))
        {
            return null;
        }
        if (json.ValueKind != JsonValueKind.Array)
        {
            problems.Add($"The value is {JsonText.Quote(json)}, but must be a list.");
            return null;
        }
        var lines = ImmutableArray.CreateBuilder<HistoryLine>(json.GetArrayLength());
        foreach (var item in json.EnumerateArray())
        {
            if (HistoryLine(item) is not { } line)
            {
                problems.Add(
                    $"The line {JsonText.Quote(item)} must be a list of timeline, position, reason, time and leader.");
                return null;
            }
            lines.Add(line);
        }
        return new TimelineHistory(lines.ToImmutable());
    }

    /// <summary>
    /// Also "leader:candidate" as plain text. Anything that is JSON but not an object means no request.
    /// </summary>
    public static FailoverRequest? Failover(RawKey key, List<string> problems)
    {
        if (string.IsNullOrWhiteSpace(key.Value))
        {
            return null;
        }
        if (!JsonText.TryParse(key.Value, out var json, out var problem))
        {
            var parts = key.Value.Split(':', StringSplitOptions.TrimEntries);
            if (parts.Length == 2 && !key.Value.AsSpan().ContainsAny("{}[]\""))
            {
                return Request(parts[0], parts[1], null, null, key.ModRevision);
            }
            problems.Add($"The value is neither an object nor \"leader:candidate\"; {problem}");
            return null;
        }
        if (json.ValueKind != JsonValueKind.Object)
        {
            return null;
        }
        var reader = new ObjectReader(json, "", problems);
        var (leader, candidate, site) = (reader.Text("leader"), reader.Text("member"), reader.Text("site"));
        DateTimeOffset? scheduledAt = null;
        if (reader.TryGet("scheduled_at", out var at) && EffectiveTags.IsTruthy(at))
        {
            if (at.ValueKind != JsonValueKind.String || !IsoTime.TryParse(at.GetString(), out var time))
            {
                reader.Complain("scheduled_at", at, "an ISO-8601 time", "the request is ignored");
            }
            else
            {
                scheduledAt = time;
            }
        }
        // Half a request is none: without its time or its leader it would ask for something else.
        return problems.Count == 0 ? Request(leader, candidate, site, scheduledAt, key.ModRevision) : null;
    }

    /// <summary>
    /// A restore whose key cannot be read is none: it would bar members from leading for no known reason.
    /// </summary>
    public static RestoreRequest? Restore(RawKey key, List<string> problems)
    {
        if (Object(key, problems) is not { } json)
        {
            return null;
        }
        var reader = new ObjectReader(json, "", problems);
        var target = new RestoreTarget(reader.Text("type") ?? "", reader.Text("target") ?? "");
        if (reader.Text("id") is not { Length: > 0 } id || reader.Text("member") is not { Length: > 0 } member
            || !RestoreTarget.Kinds.Contains(target.Kind, StringComparer.Ordinal)
            || !id.All(letter => char.IsAsciiLetterOrDigit(letter) || letter == '-')
            || !Enum.TryParse<RestorePhase>(reader.Text("phase"), ignoreCase: true, out var phase)
            || !Enum.IsDefined(phase))
        {
            problems.Add("The restore has no usable id, member, type or phase; it is ignored.");
            return null;
        }
        return new RestoreRequest(id, member, target, phase)
        {
            Timeline = (uint)reader.Integer("timeline", 0, 0, uint.MaxValue, "a timeline"),
            NewTimeline = (uint)reader.Integer("new_timeline", 0, 0, uint.MaxValue, "a timeline"),
            Backup = reader.Text("backup"),
            Problem = reader.Text("problem"),
            ModRevision = key.ModRevision,
        };
    }

    /// <summary>
    /// An intent that cannot be read is none: routers go on as in a switchover that is not announced.
    /// </summary>
    public static SwitchoverIntent? Switchover(RawKey key, List<string> problems)
    {
        if (Object(key, problems) is not { } json)
        {
            return null;
        }
        const string allowed = "a number of milliseconds from 0 to a day";
        var reader = new ObjectReader(json, "", problems);
        var term = reader.Integer("term", 0, 0, long.MaxValue, "a revision");
        var grace = reader.Integer("left_ms", 0, 0, 86_400_000, allowed);
        if (reader.Text("id") is not { Length: > 0 } id || reader.Text("leader") is not { Length: > 0 } leader)
        {
            problems.Add("The announced switchover has no usable id or leader; it is ignored.");
            return null;
        }
        return new SwitchoverIntent(
            id, leader, reader.Text("candidate") is { Length: > 0 } candidate ? candidate : null, term,
            TimeSpan.FromMilliseconds(grace))
        {
            Deadline = reader.Text("deadline") is { } text && IsoTime.TryParse(text, out var at) ? at : null,
            CalledOff = reader.Text("called_off") is { Length: > 0 } why ? why : null,
            ModRevision = key.ModRevision,
        };
    }

    /// <summary>A router whose key cannot be read is one that is not ready.</summary>
    public static RouterRecord Router(string id, RawKey key)
    {
        var problems = new List<string>();   // nobody's: its word decides nothing but how long a leader waits
        if (Object(key, problems) is not { } json)
        {
            return new RouterRecord(id, "", null, 0);
        }
        var reader = new ObjectReader(json, "", problems);
        return new RouterRecord(
            id, reader.Text("kind") ?? "", reader.Text("ready") is { Length: > 0 } ready ? ready : null,
            (int)reader.Integer("busy", 0, 0, int.MaxValue, "a number of sessions"));
    }

    /// <summary>
    /// A value that cannot be read, as a later version may write one, does not void the record: without it members that
    /// lack acknowledged commits could be promoted. It counts as what allows least.
    /// </summary>
    public static SyncState Sync(RawKey key, List<string> problems)
    {
        var nothing = SyncState.None with { ModRevision = key.ModRevision };
        if (Object(key, problems) is not { } json)
        {
            return nothing;
        }
        var reader = new ObjectReader(json, "", problems);
        // An owner that is no text is no member that we know, and the standbys count all the same.
        var leader = reader.Text("leader") ?? (reader.TryGet("leader", out var owner) ? owner.GetRawText() : null);
        var standbys = ImmutableSortedSet.Create(StringComparer.OrdinalIgnoreCase, SyncStandbys(reader));
        const int unreadable = -1;
        var quorum = reader.Integer("quorum", 0, 0, int.MaxValue, "a number of voters, 0 or more", unreadable);
        return string.IsNullOrEmpty(leader)
            ? nothing with { Standbys = standbys }
            : new SyncState(
                leader, standbys, quorum == unreadable ? Math.Max(0, standbys.Count - 1) : (int)quorum,
                key.ModRevision);
    }

    private static string[] SyncStandbys(ObjectReader sync)
    {
        const string name = "sync_standby";
        return sync.TryGet(name, out var list) && list.ValueKind == JsonValueKind.Array
            ? [.. list.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.String)
                .Select(item => item.GetString()!)]
            : (sync.Text(name) ?? "")
                .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
    }

    public static ImmutableSortedDictionary<string, string>? Failsafe(RawKey key, List<string> problems)
    {
        if (Object(key, problems) is not { } json)
        {
            return null;
        }
        var reader = new ObjectReader(json, "", problems);
        var members = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (var property in json.EnumerateObject())
        {
            if (reader.Text(property.Name) is { } url)
            {
                members[property.Name] = url;
            }
        }
        return members.ToImmutable();
    }

    private static FailoverRequest? Request(
        string? leader, string? candidate, string? site, DateTimeOffset? scheduledAt, long modRevision) =>
        string.IsNullOrEmpty(leader) && string.IsNullOrEmpty(candidate)
            ? null
            : new FailoverRequest(
                string.IsNullOrEmpty(leader) ? null : leader,
                string.IsNullOrEmpty(candidate) ? null : candidate,
                scheduledAt,
                modRevision)
            {
                Site = string.IsNullOrEmpty(leader) || !string.IsNullOrEmpty(candidate) || string.IsNullOrEmpty(site)
                    ? null
                    : site,
            };

    private static HistoryLine? HistoryLine(JsonElement item)
    {
        if (item.ValueKind != JsonValueKind.Array || item.GetArrayLength() < 3
            || !Scalars.TryInteger(item[0], out var timeline) || timeline is < 1 or >= uint.MaxValue
            || !Scalars.TryInteger(item[1], out var position) || position < 0)
        {
            return null;
        }
        return new HistoryLine((uint)timeline, new Lsn((ulong)position), Text(2) ?? "", Text(3), Text(4));

        string? Text(int index) =>
            index < item.GetArrayLength() && item[index].ValueKind == JsonValueKind.String
                ? item[index].GetString()
                : null;
    }

    private static bool TryParse(RawKey key, List<string> problems, out JsonElement json)
    {
        if (JsonText.TryParse(key.Value, out json, out var problem))
        {
            return true;
        }
        problems.Add($"The value can't be read; {problem}");
        return false;
    }

    private static JsonElement? Object(RawKey key, List<string> problems)
    {
        if (!TryParse(key, problems, out var json))
        {
            return null;
        }
        if (json.ValueKind == JsonValueKind.Object)
        {
            return json;
        }
        problems.Add($"The value is {JsonText.Quote(json)}, but must be an object.");
        return null;
    }
}
