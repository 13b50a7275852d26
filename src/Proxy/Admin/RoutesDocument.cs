using System.Text.Json;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Proxy.Configuration;
using Routing.Proxy.Routes;
using Routing.Proxy.Sessions.Joined;

namespace Routing.Proxy.Admin;

/// <summary>The answer of <c>/routes</c>; docs/proxy.md explains its fields.</summary>
internal static class RoutesDocument
{
    /// <summary>Writes it.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="settings">The settings in force.</param>
    /// <param name="where">Says where a listener can be reached.</param>
    /// <param name="router">The routes.</param>
    /// <param name="counts">The sessions.</param>
    /// <param name="transport">The kind of loop.</param>
    /// <param name="isDraining">Whether the proxy is draining.</param>
    /// <param name="age">Time since the store's last answer; null before the first.</param>
    public static void Write(
        Stream stream, ProxySettings settings, Func<ListenAddress, string> where, Router router, SessionCounts counts,
        string transport,
        bool isDraining, TimeSpan? age)
    {
        using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
        var table = router.Table;
        var snapshot = table.View.Snapshot;
        json.WriteStartObject();
        json.WriteString("scope", settings.Scope);
        json.WriteString("version", RoutingVersion.Own);
        json.WriteString("transport", transport);
        json.WriteBoolean("draining", isDraining);
        json.WriteNumber("term", table.View.HighestTerm.Revision);
        json.WriteNumber("revision", snapshot.Revision);
        json.WriteString("source", router.Source);
        json.WriteBoolean("stale", !table.View.IsLive);
        json.WriteNumber("age_seconds", Math.Round(age?.TotalSeconds ?? 0, 3));
        json.WriteNumber("pending", counts.Pending);
        json.WriteNumber("starting", counts.Starting);
        json.WriteNumber("waiting", router.Waiting);
        json.WriteStartArray("listeners");
        foreach (var listener in settings.Listeners)
        {
            WriteListener(json, listener, where(listener.Address), table.Listeners.GetValueOrDefault(listener.Name),
                counts, router, snapshot);
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteListener(
        Utf8JsonWriter json, ListenerConfig listener, string where, ListenerState? table, SessionCounts counts,
        Router router,
        ClusterSnapshot snapshot)
    {
        json.WriteStartObject();
        json.WriteString("name", listener.Name);
        json.WriteString("listen", where);
        json.WriteString("role", Words.Of(listener.Request.Role));
        json.WriteString("policy", Words.Of(listener.Request.Policy));
        json.WriteStartArray("would_choose");
        var silent = router.Table.Silent;
        foreach (var member in table?.Hosts.Members ?? [])
        {
            if (!silent.Contains(member.Name))
            {
                json.WriteStringValue(member.Name);
            }
        }
        json.WriteEndArray();
        json.WriteStartObject("not_moved");
        foreach (var (reason, count) in counts.NotMoved.Of(listener.Name))
        {
            json.WriteNumber(Words.Of(reason), count);
        }
        json.WriteEndObject();
        json.WriteStartArray("members");
        foreach (var verdict in table?.Hosts.Verdicts ?? [])
        {
            var member = verdict.Member;
            var (busy, isOut, isRefused) = router.HealthFor(member.Name);
            var group =
                counts.Sessions.FirstOrDefault(one => one.Listener == listener.Name && one.Member == member.Name);
            json.WriteStartObject();
            json.WriteString("name", member.Name);
            json.WriteString("address", member.Address?.ToString());
            json.WriteString("api_url", member.ApiUrl);
            json.WriteString("role", ReferenceEquals(member, table?.Hosts.Leader) ? "leader" : member.Role.ToWire());
            json.WriteString("state", member.State.ToWire());
            if (HostChooser.LagOf(snapshot, member) is { } lag)
            {
                json.WriteNumber("lag_bytes", lag);
            }
            var isSilent = silent.Contains(member.Name);
            json.WriteBoolean("serves", verdict.Fits && !isRefused && !isSilent);
            json.WriteString(
                "reason",
                isSilent ? $"does not answer, and {router.Source} no longer confirms it"
                : isRefused ? "said at login that it is in recovery"
                : isOut ? $"{verdict.Reason}; failed lately, last resort"
                : verdict.Reason);
            json.WriteNumber("sessions", group.Open);
            json.WriteNumber("sessions_movable", group.Movable);
            json.WriteNumber("sessions_all_listeners", busy);
            json.WriteNumber("bytes_from_clients", group.BytesFromClient);
            json.WriteNumber("bytes_from_server", group.BytesFromServer);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
