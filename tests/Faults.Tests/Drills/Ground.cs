using System.Globalization;
using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Faults.Tests.Drills;

/// <summary>
/// The cluster that is drilled: three nodes and three members of etcd, each on a machine of its own. A drill that
/// failed costs it, and so does its twentieth timeline.
/// </summary>
/// <remarks>
/// PostgreSQL keeps one or two WAL files of each timeline whose segments are still young. With thirty timelines the
/// small disks of all nodes are full, and no promotion succeeds any more.
/// </remarks>
public sealed class Ground : IAsyncDisposable
{
    /// <summary>The limit of a cluster that was not given another one.</summary>
    public const int MaximumLag = 1 << 20;

    private const int MostTimelines = 20;

    private static readonly TimeSpan s_patienceToReturn = TimeSpan.FromSeconds(90);
    private TestCluster? _cluster;
    private ITestNetwork? _network;

    internal DrillReport Report { get; } = new();

    internal ITestNetwork Network => _network ?? throw new InvalidOperationException("There is no cluster yet.");

    internal string NetworkKind => _network?.Kind ?? "none";

    /// <summary>The cluster, whole and in this mode.</summary>
    /// <returns>It, its leader, and a standby: in synchronous mode the synchronous one.</returns>
    internal async Task<(TestCluster Cluster, TestNode Leader, TestNode Standby)> TakeAsync(
        CommitMode mode, bool failsafe)
    {
        var cluster = _cluster ??= await StartAsync();
        var leader = await cluster.HealthyAsync(s_patienceToReturn);
        if (await TimelineOfAsync(leader) >= MostTimelines)
        {
            await AbandonAsync();
            cluster = _cluster = await StartAsync();
            leader = await cluster.HealthyAsync(s_patienceToReturn);
        }
        await cluster.ConfigureAsync(new JsonObject
        {
            ["synchronous_mode"] = mode switch { CommitMode.Async => false, CommitMode.Sync => true, _ => "quorum" },
            ["failsafe_mode"] = failsafe ? null : false,
        });
        if (failsafe)
        {
            await cluster.UseFailsafeAsync();
        }
        var standbys = await InForceAsync(cluster, leader, mode);
        return (cluster, leader, cluster[standbys[0]]);
    }

    private static async Task<int> TimelineOfAsync(TestNode leader) => int.Parse(
        await leader.SqlAsync("SELECT timeline_id FROM pg_control_checkpoint()") ?? "0", CultureInfo.InvariantCulture);

    /// <summary>Ends the cluster: the next drill gets a new one.</summary>
    internal async Task AbandonAsync()
    {
        if (_cluster is { } cluster)
        {
            _cluster = null;
            await cluster.DisposeAsync();
        }
    }

    public async ValueTask DisposeAsync() => await AbandonAsync();

    private async Task<TestCluster> StartAsync()
    {
        _network = TestNetworks.Best();
        return await TestCluster.StartAsync(new()
        {
            EtcdMembers = 3,
            Network = _network,
            Dcs = new JsonObject
            {
                ["maximum_lag_on_failover"] = MaximumLag,
                ["postgresql"] = new JsonObject
                {
                    ["parameters"] = new JsonObject
                    {
                        // Servers that lose sight of each other notice it within a drill; the disks are small.
                        ["wal_sender_timeout"] = "5s",
                        ["wal_receiver_timeout"] = "5s",
                        ["max_wal_size"] = "96MB",
                        ["min_wal_size"] = "32MB",
                    },
                },
            },
            Configure = (node, config) => config["postgresql"]!["bin_name"] = new JsonObject
            {
                ["pg_rewind"] = BrokenRewind.Install(node, config["postgresql"]!["bin_dir"]!.ToString()),
            },
        });
    }

    /// <summary>Waits until commits wait for what the mode says.</summary>
    /// <returns>The standbys that may lead without a loss; in asynchronous mode all.</returns>
    private static async Task<string[]> InForceAsync(TestCluster cluster, TestNode leader, CommitMode mode)
    {
        string[] standbys = [];
        await cluster.UntilAsync(
            async () =>
            {
                var key = (await cluster.Keys.GetAsync("sync"))?.Json;
                var names = await leader.SqlAsync("SHOW synchronous_standby_names") ?? "";
                if (mode == CommitMode.Async)
                {
                    standbys = [.. cluster.ReplicasOf(leader).Select(node => node.Name)];
                    return names == "" && string.IsNullOrEmpty(key?["sync_standby"]?.ToString());
                }
                standbys = (key?["sync_standby"]?.ToString() ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries);
                var isQuorum = mode == CommitMode.Quorum;
                return key?["leader"]?.ToString() == leader.Name
                    && names.StartsWith("ANY ", StringComparison.Ordinal) == isQuorum
                    && standbys.Length == (isQuorum ? 2 : 1)
                    && (key["quorum"]?.GetValue<int>() ?? 0) == (isQuorum ? 1 : 0);
            },
            $"the mode {mode} is in force");
        return standbys;
    }
}
