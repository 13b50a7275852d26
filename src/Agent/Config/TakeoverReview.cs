using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Routing.Cluster;
using Routing.Settings;
using Routing.Settings.Postgres;

namespace Routing.Agent.Config;

/// <summary>What there is to say before an agent takes over a server that runs already.</summary>
internal static class TakeoverReview
{
    /// <summary>One line each: whether a restart is needed and for what, then what else is missing. Pure.</summary>
    /// <param name="server">The server.</param>
    /// <param name="generated">Its configuration (<see cref="GeneratedConfig.Of"/>).</param>
    public static ImmutableArray<string> Of(RunningServer server, SettingsTree generated)
    {
        ArgumentNullException.ThrowIfNull(server);
        ArgumentNullException.ThrowIfNull(generated);
        var major = server.Version / 10000;
        if (!ServerFeatures.IsSupported(major))
        {
            return [$"The agent does not take over PostgreSQL {major}: supported are {ServerFeatures.OldestMajor} to "
                + $"{ServerFeatures.NewestMajor}."];
        }
        var lines = ImmutableArray.CreateBuilder<string>();
        var restarts = Restarts(server, generated.Root).ToArray();
        lines.Add(restarts.Length == 0
            ? "The agent takes this server over without a restart."
            : "The agent takes this server over as it runs. These settings wait for a restart "
                + "(routingctl list names it, routingctl restart does it):");
        lines.AddRange(restarts.Select(restart => $"- {restart}"));
        if (!server.CanRewind)
        {
            lines.Add("pg_rewind cannot work here: there are neither data checksums nor wal_log_hints. A former "
                + "primary is copied anew, until wal_log_hints is set to on in the dynamic configuration, with a "
                + "restart.");
        }
        if (server.ReplicationRoles.IsEmpty)
        {
            lines.Add("There is no role for replication: CREATE ROLE replicator LOGIN REPLICATION PASSWORD '…'; on the "
                + "primary, and name it in postgresql.authentication.replication.");
        }
        if (!server.AdmitsReplication)
        {
            lines.Add("No line of pg_hba.conf lets another host replicate: add one to postgresql.pg_hba, such as "
                + $"host replication {server.ReplicationRoles.FirstOrDefault() ?? "replicator"} 10.0.0.0/24 "
                + "scram-sha-256.");
        }
        if (ListensAtHome(server.ListenAddresses))
        {
            lines.Add($"It listens on {server.ListenAddresses} alone, where no other host reaches it: name an address "
                + "in postgresql.listen and connect_address before the agent starts, and that waits for a restart, "
                + "too.");
        }
        return lines.ToImmutable();
    }

    private static bool ListensAtHome(string addresses) =>
        addresses.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) is { Length: > 0 }
            names
        && names.All(name => name is "localhost" or "::1" || name.StartsWith("127.", StringComparison.Ordinal));

    private static IEnumerable<string> Restarts(RunningServer server, JsonObject generated)
    {
        var given = ImmutableSortedDictionary<string, string>.Empty;
        if (generated["bootstrap"]?["dcs"]?["postgresql"]?["parameters"] is JsonObject parameters)
        {
            given = parameters.ToImmutableSortedDictionary(
                pair => pair.Key, pair => pair.Value?.ToString() ?? "", StringComparer.Ordinal);
        }
        foreach (var (name, wanted) in ControlledParameters.From(given, static (_, _) => { }))
        {
            if (ControlledParameters.OnCommandLine(name) && server.Controlled.TryGetValue(name, out var now)
                && !now.Equals(wanted, StringComparison.OrdinalIgnoreCase))
            {
                yield return $"{name}: {now}, becomes {wanted}{Reason(name)}";
            }
        }
        if (generated["scope"]?.ToString() is var scope && scope != server.ClusterName)
        {
            var becomes = scope is null or SampleConfig.FillIn ? "becomes the scope" : $"becomes {scope}";
            yield return $"cluster_name: {(server.ClusterName.Length == 0 ? "empty" : server.ClusterName)}, {becomes} "
                + "(nothing depends on it; name the scope so, and no restart waits)";
        }
    }

    private static string Reason(string name) => name switch
    {
        "wal_level" => " (before that no standby can follow)",
        "max_wal_senders" or "max_replication_slots" => " (before that standbys may find none free)",
        "hot_standby" => " (a standby that refuses sessions cannot be watched)",
        _ => "",
    };
}
