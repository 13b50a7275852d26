using System.Globalization;
using Routing.Agent.Config;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres.Configuration;

/// <summary>
/// The settings that make a standby follow another server (PostgreSQL manual, "Standby Server Settings").
/// </summary>
internal static class RecoverySettings
{
    private const string ConnInfo = "primary_conninfo";
    private const string SlotName = "primary_slot_name";
    private const string RetryInterval = "wal_retrieve_retry_interval";

    private static readonly string[] s_targets =
        ["recovery_target", "recovery_target_name", "recovery_target_time", "recovery_target_xid",
            "recovery_target_lsn"];

    /// <summary>What a standby gets: the user's recovery settings without targets, and where to stream from.</summary>
    public static SortedDictionary<string, string> ForStandby(
        AgentSettings settings, PostgresConfig config, Upstream? upstream, int majorVersion)
    {
        var result = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in config.RecoveryParameters)
        {
            if (!name.StartsWith("recovery_target", StringComparison.Ordinal) && name is not (ConnInfo or SlotName))
            {
                result[name] = value;
            }
        }
        result["recovery_target_timeline"] = "latest";
        foreach (var target in s_targets)
        {
            result[target] = "";
        }
        result[ConnInfo] = upstream is null ? "" : ConnInfoFor(settings, config, upstream.Address, majorVersion);
        result[SlotName] = upstream?.SlotName ?? "";
        if (!config.Parameters.ContainsKey(RetryInterval) && !config.RecoveryParameters.ContainsKey("restore_command"))
        {
            // After a failover a standby may knock at the new primary a moment too early; by default it tries again
            // after 5 s.
            result[RetryInterval] = "500ms";
        }
        return result;
    }

    /// <summary>The server that the settings point to; null: none.</summary>
    public static Upstream? Read(string? connInfo, string? slotName)
    {
        if (string.IsNullOrEmpty(connInfo))
        {
            return null;
        }
        var pairs = ConnectionText.Read(connInfo);
        if (!pairs.TryGetValue("host", out var host))
        {
            return null;
        }
        _ = int.TryParse(pairs.GetValueOrDefault("port", "5432"), NumberStyles.None, CultureInfo.InvariantCulture,
            out var port);
        return new Upstream(new HostPort(host, port), string.IsNullOrEmpty(slotName) ? null : slotName);
    }

    /// <summary>A connection string for libpq's programs; the password comes from the password file.</summary>
    public static string ConnectionStringFor(
        PostgresUser user, HostPort address, string database, string? passwordFile, int majorVersion,
        string? application = null,
        string? kerberosService = null)
    {
        var options = user.OptionsFor(majorVersion).ToDictionary(StringComparer.Ordinal);
        return ConnectionText.Write(
        [
            new("dbname", database),
            new("user", user.Username),
            new("passfile", user.Password is null ? null : passwordFile),
            new("host", address.Host),
            new("port", address.Port.ToString(CultureInfo.InvariantCulture)),
            new("sslmode", options.GetValueOrDefault("sslmode", "prefer")),
            new("sslcert", options.GetValueOrDefault("sslcert")),
            new("sslkey", options.GetValueOrDefault("sslkey")),
            new("sslpassword", options.GetValueOrDefault("sslpassword")),
            new("sslrootcert", options.GetValueOrDefault("sslrootcert")),
            new("sslcrl", options.GetValueOrDefault("sslcrl")),
            new("sslcrldir", options.GetValueOrDefault("sslcrldir")),
            new("application_name", application),
            new("krbsrvname", kerberosService),
            new("gssencmode", options.GetValueOrDefault("gssencmode", "prefer")),
            new("channel_binding", options.GetValueOrDefault("channel_binding", "prefer")),
            new("sslnegotiation", options.GetValueOrDefault(
                "sslnegotiation", ServerFeatures.HasTlsNegotiation(majorVersion) ? "postgres" : null!)),
        ]);
    }

    private static string ConnInfoFor(AgentSettings settings, PostgresConfig config, HostPort address, int majorVersion)
    {
        var postgres = settings.Postgres;
        return ConnectionStringFor(
            postgres.Authentication.Replication, address, postgres.Database, postgres.PasswordFile, majorVersion,
            settings.Name,
            config.KerberosServiceName);
    }
}
