using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Cluster.Text;

namespace Routing.Agent.Rest;

/// <summary>Says yes or no to a load balancer that asks whether this member is what the path names.</summary>
/// <remarks>Pure. Paths are matched by substring, in the order below: rules and order are Patroni's.</remarks>
internal static class HealthCheck
{
    /// <summary>Whether the member is what <paramref name="path"/> asks for.</summary>
    /// <param name="view">The member.</param>
    /// <param name="path">The path without the query; <c>/</c> asks for the primary.</param>
    /// <param name="query">May narrow it: <c>lag</c>, <c>replication_state</c>, <c>tag_NAME</c>.</param>
    public static bool Passes(HealthView view, string path, IQueryCollection query)
    {
        var leads = Leads(view);
        if (Contains(path, "standby_leader") || Contains(path, "standby-leader"))
        {
            return leads.StandbyLeader;
        }
        if (Contains(path, "leader"))
        {
            return leads.Leader;
        }
        if (path == "/" || Contains(path, "master") || Contains(path, "primary") || Contains(path, "read-write"))
        {
            return leads.Primary;
        }
        return MatchesTags(view.Status.Tags, query) && PassesAsMember(view, path, query, leads);
    }

    /// <summary><c>GET /readiness</c>: the leader, or a standby that streams and keeps up.</summary>
    public static bool IsReady(HealthView view, IQueryCollection query)
    {
        if (view.IsLeader)
        {
            return true;
        }
        if (view.State != PostgresState.Running || view.Status.ReplicationState != "streaming")
        {
            return false;
        }
        if (view.Cluster is null && view.LatestEnd == Lsn.Zero)
        {
            return view.IsFailsafeActive;
        }
        var location = First(query, "mode") == "write" ? view.Received : view.Replayed;
        var limit = LagLimit(query) ?? (ulong)Math.Max(0, view.Status.Config.MaximumLagOnFailoverBytes);
        return view.KnownEnd.BytesAheadOf(location) <= limit;
    }

    private static bool PassesAsMember(HealthView view, string path, IQueryCollection query, Leadership leads)
    {
        var isReplica = leads is not { StandbyLeader: true } && !(leads.Leader && view.Status.IsStandbyCluster)
            && IsReplica(view, query);
        var isWritableOrLeadingStandby = leads.Primary || leads.StandbyLeader;
        if (Contains(path, "replica"))
        {
            return isReplica;
        }
        if (Contains(path, "read-only") && !Contains(path, "sync") && !Contains(path, "quorum"))
        {
            return isWritableOrLeadingStandby || isReplica;
        }
        if (Contains(path, "health"))
        {
            return view.State == PostgresState.Running;
        }
        if (view.Cluster is null)
        {
            return false;   // only the DCS says which members are synchronous
        }
        return path switch
        {
            "/sync" or "/synchronous" => isReplica && view.IsSyncStandby,
            "/quorum" => isReplica && view.IsQuorumStandby,
            "/async" or "/asynchronous" => isReplica && !view.IsSyncStandby && !view.IsQuorumStandby,
            "/read-only-quorum" => isWritableOrLeadingStandby || (isReplica && view.IsQuorumStandby),
            "/read-only-sync" or "/read-only-synchronous" =>
                isWritableOrLeadingStandby || (isReplica && view.IsSyncStandby),
            _ => false,
        };
    }

    /// <summary>
    /// The belief decides; when the DCS is silent during a pause nobody renews it, and the server's role does.
    /// </summary>
    private static Leadership Leads(HealthView view)
    {
        if (view.Cluster is null && view.Status.Config.Pause)
        {
            return new Leadership(
                Leader: view.Role is Role.Primary or Role.StandbyLeader,
                Primary: view.Role == Role.Primary,
                StandbyLeader: view.Role == Role.StandbyLeader);
        }
        return !view.IsLeader ? default
            // A leader that writes is a primary, whatever was configured since.
            : view.Status.IsStandbyCluster && view.Role != Role.Primary
                ? new Leadership(true, Primary: false, StandbyLeader: view.Role is Role.Replica or Role.StandbyLeader)
                : new Leadership(true, Primary: true, StandbyLeader: false);
    }

    private static bool IsReplica(HealthView view, IQueryCollection query) =>
        view is { Role: Role.Replica, State: PostgresState.Running }
        && !view.Status.Tags.NoLoadBalance
        && (LagLimit(query) is not { } limit || view.KnownEnd.BytesAheadOf(view.Replayed) <= limit)
        && (First(query, "replication_state") is not { } wanted || wanted == view.Status.ReplicationState);

    private static ulong? LagLimit(IQueryCollection query) =>
        PostgresUnits.TryParseBytes(First(query, "lag"), out var bytes) ? (ulong)Math.Max(0, bytes) : null;

    private static bool MatchesTags(MemberTags tags, IQueryCollection query)
    {
        foreach (var (key, values) in query)
        {
            if (key.StartsWith("tag_", StringComparison.Ordinal)
                && values.Count > 0
                && !(tags.Values.TryGetValue(key["tag_".Length..], out var tag) && TagText(tag) == values[0]))
            {
                return false;
            }
        }
        return true;
    }

    private static string? TagText(JsonElement tag) =>
        tag.ValueKind == JsonValueKind.String
            ? tag.GetString()
            : tag.GetRawText().ToLower(CultureInfo.InvariantCulture);

    private static string? First(IQueryCollection query, string name) =>
        query.TryGetValue(name, out var values) && values.Count > 0 ? values[0] : null;

    private static bool Contains(string path, string word) => path.Contains(word, StringComparison.Ordinal);

    /// <summary>In which sense this member leads.</summary>
    private readonly record struct Leadership(bool Leader, bool Primary, bool StandbyLeader);
}
