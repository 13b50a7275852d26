using System.Collections.Immutable;
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

    /// <summary>Milliseconds without an answer of any kind after which a server of several is left.</summary>
    private const string SilentServer = "10000";

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
        result[ConnInfo] = upstream is null ? "" : ConnInfoFor(settings, config, upstream, majorVersion);
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
        var ports = pairs.GetValueOrDefault("port", "5432").Split(',');
        var addresses = host.Split(',').Select((name, at) =>
        {
            _ = int.TryParse(at < ports.Length ? ports[at] : ports[^1], NumberStyles.None, CultureInfo.InvariantCulture,
                out var port);
            return new HostPort(name, port);
        }).ToImmutableArray();
        return new Upstream(addresses[0], string.IsNullOrEmpty(slotName) ? null : slotName)
        {
            Others = addresses.RemoveAt(0),
        };
    }

    /// <summary>A connection string for libpq's programs; the password comes from the password file.</summary>
    public static string ConnectionStringFor(
        PostgresUser user, HostPort address, string database, string? passwordFile, int majorVersion,
        string? application = null,
        string? kerberosService = null) =>
        ConnectionStringFor(
            user, [address], database, passwordFile, majorVersion, application, kerberosService);

    private static string ConnectionStringFor(
        PostgresUser user, ImmutableArray<HostPort> addresses, string database, string? passwordFile, int majorVersion,
        string? application, string? kerberosService)
    {
        var options = user.OptionsFor(majorVersion).ToDictionary(StringComparer.Ordinal);
        return ConnectionText.Write(
        [
            new("dbname", database),
            new("user", user.Username),
            new("passfile", user.Password is null ? null : passwordFile),
            new("host", string.Join(',', addresses.Select(address => address.Host))),
            new("port", string.Join(',', addresses.Select(
                address => address.Port.ToString(CultureInfo.InvariantCulture)))),
            // Of several servers the one that accepts writes is the primary.
            new("target_session_attrs", addresses.Length > 1 ? "read-write" : null),
            // One that is silent, as when its machine is off, must not keep the others from their turn for minutes.
            new("tcp_user_timeout",
                addresses.Length > 1 && ServerFeatures.HasKeyword(majorVersion, "tcp_user_timeout")
                    ? SilentServer
                    : null),
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

    private static string ConnInfoFor(
        AgentSettings settings, PostgresConfig config, Upstream upstream, int majorVersion)
    {
        var postgres = settings.Postgres;
        return ConnectionStringFor(
            postgres.Authentication.Replication, upstream.Addresses, postgres.Database, postgres.PasswordFile,
            majorVersion,
            settings.Name,
            config.KerberosServiceName);
    }
}
