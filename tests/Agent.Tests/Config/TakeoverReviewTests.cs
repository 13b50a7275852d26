using System.Collections.Immutable;
using Routing.Agent.Config;
using Routing.Settings;

namespace Routing.Agent.Tests.Config;

/// <summary>What <c>--generate-config</c> says beside the configuration.</summary>
public sealed class TakeoverReviewTests
{
    private static readonly ImmutableSortedDictionary<string, string> s_defaults = new Dictionary<string, string>
    {
        ["max_connections"] = "100",
        ["max_locks_per_transaction"] = "64",
        ["max_prepared_transactions"] = "0",
        ["max_replication_slots"] = "10",
        ["max_wal_senders"] = "10",
        ["max_worker_processes"] = "8",
        ["track_commit_timestamp"] = "off",
        ["wal_log_hints"] = "off",
        ["hot_standby"] = "on",
        ["wal_level"] = "replica",
        ["wal_keep_size"] = "0",
    }.ToImmutableSortedDictionary(StringComparer.Ordinal);

    [Fact]
    public void A_server_as_initdb_makes_it_needs_no_restart_and_keeps_its_values()
    {
        var (tree, lines) = Review(Server());

        Assert.Equal(["The agent takes this server over without a restart."], lines);
        var parameters = tree.Root["bootstrap"]!["dcs"]!["postgresql"]!["parameters"]!;
        Assert.Equal("off", parameters["wal_log_hints"]!.ToString());
        Assert.Equal("replica", parameters["wal_level"]!.ToString());
        // 0 is below what the agent takes, and no restart depends on it.
        Assert.Null(parameters["wal_keep_size"]);
    }

    [Fact]
    public void Each_setting_that_waits_for_a_restart_is_named_with_both_values()
    {
        var (tree, lines) = Review(Server() with
        {
            Parameters = ImmutableSortedDictionary<string, string>.Empty.Add("wal_level", "minimal"),
            ClusterName = "",
            CanRewind = false,
            ReplicationRoles = [],
            AdmitsReplication = false,
            Controlled = s_defaults.SetItems(new Dictionary<string, string>
            {
                ["wal_level"] = "minimal",
                ["max_wal_senders"] = "0",
                ["max_connections"] = "20",
                ["max_worker_processes"] = "4",
            }),
        });

        Assert.Equal(
            """
            The agent takes this server over as it runs. These settings wait for a restart (routingctl list names it, routingctl restart does it):
            - max_connections: 20, becomes 100
            - max_wal_senders: 0, becomes 10 (before that standbys may find none free)
            - wal_level: minimal, becomes replica (before that no standby can follow)
            - cluster_name: empty, becomes the scope (nothing depends on it; name the scope so, and no restart waits)
            pg_rewind cannot work here: there are neither data checksums nor wal_log_hints. A former primary is copied anew, until wal_log_hints is set to on in the dynamic configuration, with a restart.
            There is no role for replication: CREATE ROLE replicator LOGIN REPLICATION PASSWORD '…'; on the primary, and name it in postgresql.authentication.replication.
            No line of pg_hba.conf lets another host replicate: add one to postgresql.pg_hba, such as host replication replicator 10.0.0.0/24 scram-sha-256.
            """,
            string.Join('\n', lines));
        Assert.Null(tree.Root["bootstrap"]!["dcs"]!["postgresql"]!["parameters"]!["wal_level"]);
    }

    [Theory]
    [InlineData(120_022, "The agent does not take over PostgreSQL 12: supported are 13 to 18.")]
    [InlineData(130_000, "The agent takes this server over without a restart.")]
    [InlineData(180_006, "The agent takes this server over without a restart.")]
    [InlineData(190_000, "The agent does not take over PostgreSQL 19: supported are 13 to 18.")]
    public void A_server_of_a_version_that_is_not_supported_is_refused(int version, string expected)
    {
        var (_, lines) = Review(Server() with { Version = version });

        Assert.Equal([expected], lines);
    }

    [Theory]
    [InlineData("localhost", true)]
    [InlineData("127.0.0.1, ::1", true)]
    [InlineData("localhost,10.0.0.1", false)]
    [InlineData("*", false)]
    public void A_server_that_no_other_host_reaches_is_named(string addresses, bool isNamed)
    {
        var (_, lines) = Review(Server() with { ListenAddresses = addresses });

        Assert.Equal(isNamed, lines.Any(line => line.Contains("no other host reaches it", StringComparison.Ordinal)));
    }

    private static (SettingsTree Tree, ImmutableArray<string> Lines) Review(RunningServer server)
    {
        var tree = GeneratedConfig.Of(server, "pg1", "10.0.0.1", SettingsEnvironment.Empty("PATRONI_"));
        return (tree, TakeoverReview.Of(server, tree));
    }

    private static RunningServer Server() => new()
    {
        Parameters = ImmutableSortedDictionary<string, string>.Empty,
        Controlled = s_defaults,
        Version = 150_000,
        ReplicationRoles = ["replicator"],
        AdmitsReplication = true,
        DataDirectory = "/data",
        ListenAddresses = "*",
        Port = 5432,
        ClusterName = "pay",
        CanRewind = true,
        HbaFile = "/data/pg_hba.conf",
        IdentFile = "/data/pg_ident.conf",
        Hba = "",
        Ident = "",
        Superuser = "postgres",
    };
}
