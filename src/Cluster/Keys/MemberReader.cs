using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster.Text;

namespace Routing.Cluster.Keys;

/// <summary>Reads a member key.</summary>
internal static class MemberReader
{
    /// <summary>The member; when its value can't be read, it has nothing but its name and lease.</summary>
    public static Member Read(string name, RawKey key, List<string> problems)
    {
        var nameless = new Member { Name = name, LeaseId = key.LeaseId, ModRevision = key.ModRevision };
        if (key.Value.StartsWith("postgres", StringComparison.Ordinal))
        {
            return FromUrl(nameless, key.Value);
        }
        if (!JsonText.TryParse(key.Value, out var json, out var problem))
        {
            problems.Add($"The value can't be read; {problem}");
            return nameless;
        }
        if (json.ValueKind != JsonValueKind.Object)
        {
            problems.Add($"The value is {JsonText.Quote(json)}, but must be an object.");
            return nameless;
        }
        return FromObject(nameless, new ObjectReader(json, "", problems));
    }

    /// <summary>Host and port of a postgres:// or postgresql:// URL; credentials before an '@' are skipped.</summary>
    public static HostPort? AddressOf(string? url)
    {
        var authority = url switch
        {
            not null when url.StartsWith("postgres://", StringComparison.OrdinalIgnoreCase) =>
                url["postgres://".Length..],
            not null when url.StartsWith("postgresql://", StringComparison.OrdinalIgnoreCase) =>
                url["postgresql://".Length..],
            _ => null,
        };
        if (authority is null)
        {
            return null;
        }
        var end = authority.AsSpan().IndexOfAny("/?#");
        authority = end < 0 ? authority : authority[..end];
        authority = authority[(authority.LastIndexOf('@') + 1)..];
        return HostPort.TryParse(authority, 5432, out var address) ? address : null;
    }

    /// <summary>
    /// How ancient versions wrote it: the connection URL, with the API's URL as its application_name.
    /// </summary>
    private static Member FromUrl(Member member, string value)
    {
        var question = value.IndexOf('?', StringComparison.Ordinal);
        var connUrl = question < 0 ? value : value[..question];
        string? apiUrl = null;
        if (question >= 0)
        {
            const string parameter = "application_name=";
            var found = value[(question + 1)..].Split('#')[0].Split('&')
                .FirstOrDefault(part => part.StartsWith(parameter, StringComparison.Ordinal));
            apiUrl = found is { Length: > 17 } ? Uri.UnescapeDataString(found[parameter.Length..]) : null;
        }
        return member with { ConnUrl = connUrl, Address = AddressOf(connUrl), ApiUrl = apiUrl };
    }

    private static Member FromObject(Member member, ObjectReader json)
    {
        var connUrl = json.Text("conn_url");
        var address = AddressOf(connUrl);
        if (connUrl is not null && address is null && json.TryGet("conn_url", out var url))
        {
            json.Complain("conn_url", url, "postgres://host:port/database", "the member can't be reached");
        }
        var timeline = json.Integer("timeline", 0, 0, uint.MaxValue, "a timeline, 1 or more");
        return member with
        {
            ConnUrl = connUrl,
            Address = address,
            ApiUrl = json.Text("api_url"),
            ProxyUrl = json.Text("proxy_url"),
            Site = json.Text("site") is { Length: > 0 } site ? site : null,
            State = WireNames.ParseState(json.Text("state")),
            Role = WireNames.ParseRole(json.Text("role")),
            Version = json.Text("version") ?? "",
            CheckpointAfterPromotePending = !json.Boolean("checkpoint_after_promote", true),
            Tags = json.Object("tags") is { } tags ? Tags(tags.Json) : MemberTags.Empty,
            PendingRestart = json.Boolean("pending_restart", false),
            PendingRestartReason =
                json.Object("pending_restart_reason") is { } reason ? Changes(reason) : member.PendingRestartReason,
            XlogLocation = json.Position("xlog_location"),
            ReceiveLsn = json.Position("receive_lsn"),
            ReplayLsn = json.Position("replay_lsn"),
            ReplicationState = json.Text("replication_state") is { Length: > 0 } state ? state : null,
            Timeline = timeline == 0 ? null : (uint)timeline,
            ScheduledRestart = json.Object("scheduled_restart") is { } restart ? Restart(restart) : null,
            Pause = json.Boolean("pause", false),
            Routing = json.Object("routing") is { } routing
                ? new RoutingExtension(routing.Text("version") ?? "", routing.Boolean("fence", false))
                {
                    Upstream = routing.Text("upstream"),
                    CopiesFrom = routing.Text("copies_from"),
                }
                : null,
        };
    }

    /// <summary>As they were published: nothing is filtered a second time.</summary>
    private static MemberTags Tags(JsonElement json)
    {
        var tags = ImmutableSortedDictionary.CreateBuilder<string, JsonElement>(StringComparer.Ordinal);
        foreach (var property in json.EnumerateObject())
        {
            tags[property.Name] = property.Value.Clone();
        }
        return tags.Count == 0 ? MemberTags.Empty : new MemberTags(tags.ToImmutable());
    }

    private static ImmutableSortedDictionary<string, ParameterChange> Changes(ObjectReader reason)
    {
        var changes = ImmutableSortedDictionary.CreateBuilder<string, ParameterChange>(StringComparer.Ordinal);
        foreach (var property in reason.Json.EnumerateObject())
        {
            if (reason.Object(property.Name) is { } change)
            {
                changes[property.Name] = new ParameterChange(Value(change, "old_value"), Value(change, "new_value"));
            }
        }
        return changes.ToImmutable();
    }

    private static string? Value(ObjectReader change, string name) =>
        change.TryGet(name, out var value)
            ? value.ValueKind == JsonValueKind.String ? value.GetString() : value.GetRawText()
            : null;

    private static ScheduledRestart? Restart(ObjectReader json)
    {
        if (!json.TryGet("schedule", out var schedule))
        {
            return null;
        }
        if (schedule.ValueKind != JsonValueKind.String || !IsoTime.TryParse(schedule.GetString(), out var at))
        {
            json.Complain("schedule", schedule, "an ISO-8601 time", "the restart is ignored");
            return null;
        }
        return new ScheduledRestart(
            at,
            json.Text("postmaster_start_time"),
            json.Text("role"),
            json.Text("postgres_version"),
            json.Boolean("restart_pending", false),
            Timeout(json));
    }

    private static double? Timeout(ObjectReader json)
    {
        const string name = "timeout";
        if (!json.TryGet(name, out var value))
        {
            return null;
        }
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var seconds) && double.IsFinite(seconds)
            && seconds >= 0)
        {
            return seconds;
        }
        if (value.ValueKind == JsonValueKind.String && PostgresUnits.TryParseSeconds(value.GetString(), out var whole)
            && whole >= 0)
        {
            return whole;
        }
        json.Complain(name, value, "a time of 0 s or more", "the configured one holds");
        return null;
    }
}
