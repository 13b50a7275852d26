using System.Text.Json;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Cluster.Text;

namespace Routing.Agent.Rest;

/// <summary>
/// The document of <c>GET /members</c>: what <c>GET /cluster</c> does not tell of the members. Where each streams from,
/// how long its lease lasts, and how far it lagged in the last minutes.
/// </summary>
internal static class MembersDocument
{
    /// <summary>Writes it.</summary>
    /// <param name="json">Where to.</param>
    /// <param name="status">This agent's status, with the history of the lags.</param>
    /// <param name="cluster">The keys.</param>
    /// <param name="leases">What is left of the leases that are known.</param>
    /// <param name="now">The wall clock, by which the samples' age is told.</param>
    public static void Write(
        Utf8JsonWriter json, AgentStatus status, ClusterSnapshot cluster, IReadOnlyDictionary<long, TimeSpan> leases,
        DateTimeOffset now)
    {
        json.WriteStartObject();
        json.WriteString("member", status.Name);
        json.WriteString("time", IsoTime.FormatUtc(now));
        WriteLease(json, "leader_lease_left_ms", cluster.Leader?.LeaseId, leases);
        json.WriteStartArray("members");
        foreach (var member in cluster.Members.Values)
        {
            json.WriteStartObject();
            json.WriteString("name", member.Name);
            json.WriteString("upstream", member.Routing?.Upstream);
            WriteLease(json, "lease_left_ms", member.LeaseId, leases);
            json.WriteStartArray("lags");
            foreach (var sample in status.Lags.Samples)
            {
                if (sample.Bytes.TryGetValue(member.Name, out var lag))
                {
                    json.WriteStartArray();
                    json.WriteNumberValue(Math.Max(0, (long)(now - sample.At).TotalMilliseconds));
                    json.WriteNumberValue(lag);
                    json.WriteEndArray();
                }
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteLease(
        Utf8JsonWriter json, string name, long? lease, IReadOnlyDictionary<long, TimeSpan> leases)
    {
        if (lease is { } id && leases.TryGetValue(id, out var left))
        {
            json.WriteNumber(name, (long)Math.Max(0, left.TotalMilliseconds));
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
