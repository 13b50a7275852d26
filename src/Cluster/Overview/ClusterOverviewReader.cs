using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster.Keys;
using Routing.Cluster.Text;

namespace Routing.Cluster.Overview;

/// <summary>
/// Reads the document of <c>GET /cluster</c> back into a snapshot, as far as the document goes: for clients that cannot
/// read the store.
/// </summary>
/// <remarks>
/// The document knows neither terms nor revisions. The leader's timeline takes the place of the term: it grows with
/// each promotion.
/// </remarks>
public static class ClusterOverviewReader
{
    /// <summary>Reads the document.</summary>
    /// <param name="text">JSON.</param>
    /// <param name="revision">The revision to give to the snapshot.</param>
    /// <param name="snapshot">What it tells.</param>
    /// <param name="problem">Why it can't be read; empty when it can.</param>
    public static bool TryRead(string text, long revision, out ClusterSnapshot snapshot, out string problem)
    {
        snapshot = ClusterSnapshot.Empty;
        if (!JsonText.TryParse(text, out var json, out problem))
        {
            return false;
        }
        if (json.ValueKind != JsonValueKind.Object || !json.TryGetProperty("members", out var list)
            || list.ValueKind != JsonValueKind.Array)
        {
            problem = "it has no list of members";
            return false;
        }
        var members = ClusterSnapshot.Empty.Members.ToBuilder();
        LeaderKey? leader = null;
        var end = Lsn.Zero;
        var voters = SyncState.None.Standbys.ToBuilder();
        foreach (var entry in list.EnumerateArray())
        {
            if (entry.ValueKind != JsonValueKind.Object)
            {
                continue;
            }
            var reader = new ObjectReader(entry, "", []);
            if (reader.Text("name") is not { Length: > 0 } name)
            {
                continue;
            }
            var member = Read(reader, name);
            members[name] = member;
            if (member.Role is Role.Primary or Role.StandbyLeader)
            {
                leader = new LeaderKey(name, new Term(member.Timeline ?? 0), revision, LeaseId: 0);
            }
            if (reader.Text("role") is "sync_standby" or "quorum_standby")
            {
                voters.Add(name);
            }
            if (member.ReplayLsn is { } replayed && entry.TryGetProperty("replay_lag", out var lag)
                && lag.TryGetLag(out var bytes))
            {
                end = Lsn.Max(end, new Lsn(replayed.Value + bytes));
            }
        }
        snapshot = new ClusterSnapshot
        {
            Revision = revision,
            Leader = leader,
            Sync = voters.Count > 0 ? SyncState.None with { Leader = leader?.Holder, Standbys = voters.ToImmutable() }
                : SyncState.None,
            Members = members.ToImmutable(),
            Status = LeaderStatus.None with { Optime = end },
            HasStatusKey = true,
            Switchover = Intent(json, leader),
        };
        return true;
    }

    private static SwitchoverIntent? Intent(JsonElement json, LeaderKey? leader)
    {
        if (!json.TryGetProperty("switchover", out var section) || section.ValueKind != JsonValueKind.Object)
        {
            return null;
        }
        var reader = new ObjectReader(section, "", []);
        return reader.Text("id") is { Length: > 0 } id && reader.Text("from") is { Length: > 0 } from
            ? new SwitchoverIntent(
                id, from, reader.Text("to"), leader?.Term.Revision ?? 0,
                TimeSpan.FromMilliseconds(reader.Integer("grace_ms", 0, 0, 86_400_000, "milliseconds")))
            : null;
    }

    private static Member Read(ObjectReader json, string name)
    {
        var timeline = json.Integer("timeline", 0, 0, uint.MaxValue, "a timeline, 1 or more");
        var replication = json.Text("state");
        var isStreaming = replication is "streaming" or "in archive recovery";
        HostPort? address =
            json.Text("host") is { Length: > 0 } host
                && json.Integer("port", 0, 0, 65_535, "a port") is > 0 and var port
            ? new HostPort(host, (int)port)
            : null;
        return new Member
        {
            Name = name,
            Address = address,
            ApiUrl = json.Text("api_url"),
            Site = json.Text("site"),
            Role = json.Text("role") switch
            {
                "leader" => Role.Primary,
                "standby_leader" => Role.StandbyLeader,
                null => Role.Unknown,
                _ => Role.Replica,
            },
            State = isStreaming ? PostgresState.Running : WireNames.ParseState(replication),
            ReplicationState = isStreaming ? replication : null,
            Timeline = timeline == 0 ? null : (uint)timeline,
            XlogLocation = Position(json, "lsn"),
            ReceiveLsn = Position(json, "receive_lsn"),
            ReplayLsn = Position(json, "replay_lsn"),
            Tags = json.Object("tags") is { } tags
                ? new MemberTags(tags.Json.EnumerateObject()
                    .ToImmutableSortedDictionary(tag => tag.Name, tag => tag.Value.Clone(), StringComparer.Ordinal))
                : MemberTags.Empty,
        };
    }

    private static Lsn? Position(ObjectReader json, string name) =>
        json.Text(name) is { } text && Lsn.TryParse(text, out var lsn) ? lsn : null;   // "unknown" is none

    private static bool TryGetLag(this JsonElement lag, out ulong bytes)
    {
        bytes = 0;
        return lag.ValueKind == JsonValueKind.Number && lag.TryGetUInt64(out bytes);
    }
}
