using System.Text.Json;

namespace Routing.Cluster;

/// <summary>Writes the values of the cluster's keys, byte for byte as a member of the reference version would.</summary>
public static class KeyWriter
{
    /// <summary>The member's own record, with fields that hold their absent value left out.</summary>
    public static string Member(Member member) => throw new NotImplementedException();

    /// <summary>The synchronous state: leader, quorum and sync_standby are always written; names sorted, null when none.</summary>
    public static string Sync(string? leader, IEnumerable<string> standbys, int quorum) => throw new NotImplementedException();

    /// <summary>The leader's status; empty maps are left out.</summary>
    public static string Status(LeaderStatus status) => throw new NotImplementedException();

    /// <summary>A request for a change of leader.</summary>
    public static string Failover(string? leader, string? candidate, DateTimeOffset? scheduledAt) => throw new NotImplementedException();

    /// <summary>The empty request: what "no request" looks like.</summary>
    public const string NoFailover = "{}";

    /// <summary>The timeline history.</summary>
    public static string History(TimelineHistory history) => throw new NotImplementedException();

    /// <summary>Failsafe members: name to api_url.</summary>
    public static string Failsafe(IEnumerable<KeyValuePair<string, string>> members) => throw new NotImplementedException();

    /// <summary>
    /// The configuration after a patch: objects merge, null deletes, everything else replaces.
    /// Null when nothing changes (scalars compare by their text).
    /// </summary>
    public static string? PatchConfig(JsonElement config, JsonElement patch) => throw new NotImplementedException();
}
