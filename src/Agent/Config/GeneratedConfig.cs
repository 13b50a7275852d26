using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Routing.Settings;
using Routing.Settings.Postgres;

namespace Routing.Agent.Config;

/// <summary>What a server that runs already says of itself.</summary>
internal sealed record RunningServer
{
    /// <summary>
    /// The parameters that were set by a file, the command line or a variable, as <c>SHOW</c> prints them.
    /// </summary>
    public required ImmutableSortedDictionary<string, string> Parameters { get; init; }

    /// <summary>The parameters on which all members have to agree, as they are in force.</summary>
    public ImmutableSortedDictionary<string, string> Controlled { get; init; } =
        ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>The server's version as a number, such as 150004.</summary>
    public int Version { get; init; }

    /// <summary>Roles that may replicate and log in, other than superusers.</summary>
    public ImmutableArray<string> ReplicationRoles { get; init; } = [];

    /// <summary>Whether a line of pg_hba.conf lets other hosts replicate.</summary>
    public bool AdmitsReplication { get; init; }

    /// <summary>The data directory.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>Where the server's programs are; null when its process may not be looked at.</summary>
    public string? BinDirectory { get; init; }

    /// <summary>Where it listens: names and addresses with commas between them, or <c>*</c>.</summary>
    public required string ListenAddresses { get; init; }

    /// <summary>The server's port.</summary>
    public required int Port { get; init; }

    /// <summary>The server's <c>cluster_name</c>; empty when it has none.</summary>
    public required string ClusterName { get; init; }

    /// <summary>Whether pg_rewind can work: data checksums, or <c>wal_log_hints</c>.</summary>
    public required bool CanRewind { get; init; }

    /// <summary>The path of pg_hba.conf.</summary>
    public required string HbaFile { get; init; }

    /// <summary>The path of pg_ident.conf.</summary>
    public required string IdentFile { get; init; }

    /// <summary>The text of pg_hba.conf.</summary>
    public required string Hba { get; init; }

    /// <summary>The text of pg_ident.conf.</summary>
    public required string Ident { get; init; }

    /// <summary>The superuser that was used.</summary>
    public required string Superuser { get; init; }

    /// <summary>The user's password; null when none was needed.</summary>
    public string? Password { get; init; }
}

/// <summary><c>--generate-config</c>: a configuration that takes a running server over as it is.</summary>
internal static class GeneratedConfig
{
    // What belongs to one node: its places and the programs that it calls.
    private static readonly string[] s_local =
    [
        "archive_command", "restore_command", "archive_cleanup_command", "recovery_end_command",
        "ssl_passphrase_command", "unix_socket_directories", "external_pid_file", "log_directory",
        "ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file", "ssl_crl_dir", "stats_temp_directory",
    ];

    // What the agent sets itself.
    private static readonly string[] s_own =
    [
        "listen_addresses", "port", "cluster_name", "data_directory", "config_file", "hba_file", "ident_file",
        "hot_standby", "primary_conninfo", "primary_slot_name", "synchronous_standby_names", "promote_trigger_file",
    ];

    /// <summary>The configuration.</summary>
    /// <param name="server">The server.</param>
    /// <param name="hostName">This machine's name.</param>
    /// <param name="address">An address that other members can reach.</param>
    /// <param name="environment">The agent's variables; they stand over what was found.</param>
    public static SettingsTree Of(
        RunningServer server, string hostName, string address, SettingsEnvironment environment)
    {
        ArgumentNullException.ThrowIfNull(server);
        var tree = SampleConfig.Tree(hostName, address);
        var found = tree.Root;
        if (server.ClusterName.Length > 0)
        {
            found["scope"] = server.ClusterName;
        }
        var bootstrap = found["bootstrap"]!.AsObject();
        bootstrap.Remove("initdb");
        var shared = bootstrap["dcs"]!["postgresql"]!.AsObject();
        shared["use_pg_rewind"] = server.CanRewind;
        var parameters = Parameters(server, local: false);
        // What the agent would set otherwise takes a restart.
        foreach (var (name, value) in server.Controlled.Where(pair => ControlledParameters.Takes(pair.Key, pair.Value)))
        {
            parameters[name] = value;
        }
        shared["parameters"] = parameters;
        found["postgresql"] = Postgres(server, address);
        return SampleConfig.With(environment, tree);
    }

    private static JsonObject Postgres(RunningServer server, string address)
    {
        var section = new JsonObject
        {
            ["listen"] = $"{(server.ListenAddresses.Length > 0 ? server.ListenAddresses : address)}:{server.Port}",
            ["connect_address"] = $"{address}:{server.Port}",
            ["data_dir"] = server.DataDirectory,
            ["bin_dir"] = server.BinDirectory ?? SampleConfig.FillIn,
            ["authentication"] = new JsonObject
            {
                ["superuser"] = new JsonObject
                {
                    ["username"] = server.Superuser,
                    ["password"] = server.Password ?? SampleConfig.FillIn,
                },
                ["replication"] = new JsonObject
                {
                    ["username"] = SampleConfig.FillIn,
                    ["password"] = SampleConfig.FillIn,
                },
            },
        };
        var parameters = Parameters(server, local: true);
        Rules(section, parameters, "pg_hba", "hba_file", server.HbaFile, server.Hba, server.DataDirectory);
        Rules(section, parameters, "pg_ident", "ident_file", server.IdentFile, server.Ident, server.DataDirectory);
        section["parameters"] = parameters;
        return section;
    }

    /// <summary>A file at its usual place becomes ours, line by line; one elsewhere stays where it is.</summary>
    private static void Rules(
        JsonObject section, JsonObject parameters, string key, string parameter, string file, string text,
        string dataDirectory)
    {
        if (Path.GetDirectoryName(file) != dataDirectory.TrimEnd('/'))
        {
            parameters[parameter] = file;
            return;
        }
        var lines = text.Split('\n').Select(line => line.Trim())
            .Where(line => line.Length > 0 && line[0] != '#')
            .Select(line => (JsonNode?)JsonValue.Create(line))
            .ToArray();
        if (lines.Length > 0)
        {
            section[key] = new JsonArray(lines);
        }
    }

    private static JsonObject Parameters(RunningServer server, bool local) => new(
        server.Parameters
            .Where(pair => !s_own.Contains(pair.Key)
                && (!ControlledParameters.Contains(pair.Key) || ControlledParameters.Takes(pair.Key, pair.Value))
                && !pair.Key.StartsWith("recovery_target", StringComparison.Ordinal)
                && s_local.Contains(pair.Key) == local)
            .Select(pair => KeyValuePair.Create<string, JsonNode?>(pair.Key, JsonValue.Create(pair.Value))));
}
