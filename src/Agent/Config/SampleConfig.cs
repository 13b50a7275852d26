using System.Text.Json.Nodes;
using Routing.Settings;

namespace Routing.Agent.Config;

/// <summary><c>--generate-sample-config</c>: a configuration to fill in, with the environment's values in it.</summary>
public static class SampleConfig
{
    /// <summary>Stands where only the user knows the value.</summary>
    internal const string FillIn = "#FIXME";

    /// <summary>The YAML text.</summary>
    /// <param name="hostName">This machine's name.</param>
    /// <param name="address">An address that other members can reach.</param>
    /// <param name="environment">The agent's variables.</param>
    public static string Write(string hostName, string address, SettingsEnvironment environment) =>
        YamlWriter.Write(With(environment, Tree(hostName, address)).Root);

    /// <summary>The configuration to fill in.</summary>
    internal static SettingsTree Tree(string hostName, string address)
    {
        var tree = new SettingsTree();
        SettingsTree.Patch(tree.Root, Defaults(hostName, address));
        return tree;
    }

    /// <summary>Puts the variables over a configuration.</summary>
    internal static SettingsTree With(SettingsEnvironment environment, SettingsTree tree)
    {
        if (!environment.IsEmpty)
        {
            tree.Patch(SettingsLoader.Load(null, environment, EnvironmentSchema.Agent, new SettingsReport()));
        }
        return tree;
    }

    private static JsonObject Defaults(string hostName, string address) => new()
    {
        ["scope"] = FillIn,
        ["name"] = hostName,
        ["log"] = new JsonObject { ["type"] = "plain", ["level"] = "INFO", ["traceback_level"] = "ERROR",
            ["max_queue_size"] = 1000 },
        ["restapi"] = new JsonObject { ["listen"] = $"{address}:8008", ["connect_address"] = $"{address}:8008" },
        ["etcd3"] = new JsonObject { ["hosts"] = new JsonArray(FillIn) },
        ["bootstrap"] = new JsonObject
        {
            ["dcs"] = new JsonObject
            {
                ["ttl"] = 30,
                ["loop_wait"] = 10,
                ["retry_timeout"] = 10,
                ["maximum_lag_on_failover"] = 1_048_576,
                ["postgresql"] = new JsonObject
                {
                    ["use_pg_rewind"] = true,
                    ["parameters"] = new JsonObject
                    {
                        ["max_connections"] = 100,
                        ["max_locks_per_transaction"] = 64,
                        ["max_prepared_transactions"] = 0,
                        ["max_replication_slots"] = 10,
                        ["max_wal_senders"] = 10,
                        ["max_worker_processes"] = 8,
                        ["track_commit_timestamp"] = "off",
                        ["wal_keep_size"] = "128MB",
                        ["wal_level"] = "replica",
                        ["wal_log_hints"] = "on",
                    },
                },
            },
            ["initdb"] = new JsonArray(new JsonObject { ["encoding"] = "UTF8" }, "data-checksums"),
        },
        ["postgresql"] = new JsonObject
        {
            ["listen"] = $"{address}:5432",
            ["connect_address"] = $"{address}:5432",
            ["data_dir"] = FillIn,
            ["authentication"] = new JsonObject
            {
                ["superuser"] = User("postgres"),
                ["replication"] = User("replicator"),
                ["rewind"] = User("rewind_user"),
            },
            ["pg_hba"] =
                new JsonArray("host all all all scram-sha-256", "host replication replicator all scram-sha-256"),
        },
        ["tags"] = new JsonObject
        {
            ["failover_priority"] = 1,
            ["sync_priority"] = 1,
            ["noloadbalance"] = false,
            ["clonefrom"] = true,
            ["nosync"] = false,
            ["nostream"] = false,
        },
    };

    private static JsonObject User(string name) => new() { ["username"] = name, ["password"] = FillIn };
}
