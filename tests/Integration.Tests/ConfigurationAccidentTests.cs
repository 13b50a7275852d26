using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>
/// What people send and write by mistake reaches whole agents: none of it takes the cluster down, and each is told by
/// name.
/// </summary>
[Collection(SecondCluster.Name)]
public sealed class ConfigurationAccidentTests(ClusterFixture fixture)
{
    [Fact]
    public async Task A_parameter_with_a_line_break_and_one_that_PostgreSQL_refuses_survive_the_crash_of_the_primary()
    {
        const string script = "test ! -f /nowhere/%f \\\n  && echo 'it''s' > /dev/null\n";
        var (cluster, leader) = await fixture.TakeAsync();

        await cluster.ConfigureAsync(Parameters(("archive_command", script)));
        var refused = await leader.SendAsync("PATCH", "/config", Parameters(("work_mem", "4 potatoes")));
        // Another tool writes what it likes.
        var config = (JsonObject)(await cluster.Keys.GetAsync("config"))!.Json;
        var parameters = config["postgresql"]!["parameters"]!.AsObject();
        (parameters["work_mem"], parameters["maintenance_work_mem"], parameters["parameter_of_nobody"]) =
            ("4 potatoes", "70MB", "1");
        await cluster.Keys.PutAsync("config", config.ToJsonString());
        await EachShowsAsync(cluster, "maintenance_work_mem", "70MB");
        foreach (var node in cluster.Nodes)
        {
            Assert.Equal(script, await node.SqlAsync(
                "SELECT setting FROM pg_file_settings WHERE name = 'archive_command' AND applied"));
        }
        await leader.KillAsync();
        var next = await cluster.LeaderAsync(not: leader);
        leader.Start();

        Assert.Equal(next, await cluster.HealthyAsync());
        Assert.Equal(400, refused.Code);
        Assert.Contains("work_mem", refused.Text, StringComparison.Ordinal);
        Assert.Equal("4MB", await leader.SqlAsync("SHOW work_mem"));
        Assert.True(leader.CountInLog("parameter_of_nobody") > 0, cluster.Report());
        await cluster.ConfigureAsync(Parameters(
            ("archive_command", null), ("work_mem", null), ("maintenance_work_mem", null),
            ("parameter_of_nobody", null)));
        await EachShowsAsync(cluster, "maintenance_work_mem", "64MB");
    }

    [Fact]
    public async Task A_start_that_fails_is_told_in_the_servers_words_by_log_and_status()
    {
        const string words = "could not access file \"not_there\"";
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[0];
        var own = replica.Config["postgresql"]!["parameters"]!.AsObject();

        await replica.StopAsync();
        own["shared_preload_libraries"] = "not_there";
        replica.WriteConfig();
        replica.Start();
        await cluster.UntilAsync(
            async () => (await replica.GetAsync("/patroni"))?["routing"]?["reason"]?.ToString()
                .Contains(words, StringComparison.Ordinal) == true,
            "the status quotes the server");
        Assert.True(replica.CountInLog(words) > 0, cluster.Report());
        own.Remove("shared_preload_libraries");
        replica.WriteConfig();
        replica.SignalAgent(ProcessSignal.Hangup);

        Assert.Equal(leader, await cluster.HealthyAsync());
    }

    /// <summary>
    /// A standby may not have lower limits than its primary: it keeps the old ones until the primary was restarted in
    /// place. Restarting the agents alone moves the lead, and the next primary still runs with the old ones.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task Smaller_limits_are_taken_in_whatever_order_members_restart(bool standbysFirst) =>
        BusyMachine.UntilInTimeAsync(
            () => TakesSmallerLimitsAsync(standbysFirst), "the lead moved while its primary was restarted");

    /// <returns>False: another member led meanwhile, and the limits are those from before.</returns>
    private async Task<bool> TakesSmallerLimitsAsync(bool standbysFirst)
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await cluster.ConfigureAsync(Limits(40, 7, 9, 48));
        foreach (var node in cluster.Nodes)
        {
            await cluster.UntilAsync(
                async () =>
                    (await node.GetAsync("/patroni"))?["pending_restart_reason"]?["max_connections"]?["new_value"]
                        ?.ToString() == "40",
                $"{node.Name} says what waits for a restart");
        }

        if (standbysFirst)
        {
            if (!await RestartStandbysAsync())
            {
                return await PutBackAsync();
            }
            await EachShowsAsync(cluster, "max_connections", "50");
            Assert.All(cluster.ReplicasOf(leader), node =>
                Assert.True(node.CountInLog("max_connections is 50 for this start as a standby, and not 40") > 0));
        }
        if (!await RestartPrimaryAsync() || !await RestartStandbysAsync())
        {
            return await PutBackAsync();
        }

        foreach (var (name, value) in new[]
                 { ("max_connections", "40"), ("max_worker_processes", "7"), ("max_wal_senders", "9"),
                     ("max_locks_per_transaction", "48") })
        {
            await EachShowsAsync(cluster, name, value);
        }
        foreach (var node in cluster.Nodes)
        {
            await cluster.UntilAsync(
                async () => await node.GetAsync("/patroni") is { } status && status["pending_restart"] is null,
                $"{node.Name} waits for nothing");
        }
        await cluster.ConfigureAsync(Limits(50, 8, 10, 64));
        if (!await RestartStandbysAsync() || !await RestartPrimaryAsync())
        {
            return await PutBackAsync();
        }
        await EachShowsAsync(cluster, "max_connections", "50");
        return true;

        async Task<bool> PutBackAsync()
        {
            await cluster.ConfigureAsync(Limits(50, 8, 10, 64));
            return false;
        }

        async Task<bool> RestartStandbysAsync()
        {
            // A standby takes smaller limits when it has replayed that its primary has them.
            var written = Routing.Cluster.Lsn.Parse((await leader.SqlAsync("SELECT pg_current_wal_lsn()"))!);
            foreach (var node in cluster.ReplicasOf(leader))
            {
                await cluster.UntilAsync(
                    async () => Routing.Cluster.Lsn.Parse((await node.SqlAsync("SELECT pg_last_wal_replay_lsn()"))!)
                        >= written, $"{node.Name} has replayed");
                Assert.Equal(0, await node.StopAsync());
                node.Start();
            }
            return leader == await cluster.HealthyAsync();
        }

        async Task<bool> RestartPrimaryAsync()
        {
            var postmaster = leader.PostmasterPid;
            leader.SignalPostmaster(ProcessSignal.Kill);
            await cluster.UntilAsync(() => leader.PostmasterPid is { } now && now != postmaster,
                "its PostgreSQL was started");
            return leader == await cluster.HealthyAsync();
        }
    }

    [Fact]
    public async Task A_mistake_in_bootstrap_dcs_of_a_cluster_that_exists_stops_nobody_and_is_named()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[0];
        var good = replica.Config["bootstrap"]!.DeepClone();

        await replica.StopAsync();
        replica.Config["bootstrap"] = new JsonObject
        {
            ["dcs"] = new JsonObject
            {
                ["ttl"] = "soon",
                ["postgresql"] = new JsonObject { ["parameters"] = new JsonArray("work_mem") },
            },
            ["initdb"] = "UTF8",
        };
        replica.WriteConfig();
        replica.Start();

        Assert.Equal(leader, await cluster.HealthyAsync());
        foreach (var named in new[] { "bootstrap.dcs", "bootstrap.initdb" })
        {
            Assert.True(replica.CountInLog(named) > 0, named + cluster.Report());
        }
        replica.Config["bootstrap"] = good;
        replica.WriteConfig();
    }

    private static async Task EachShowsAsync(TestCluster cluster, string parameter, string value)
    {
        foreach (var node in cluster.Nodes)
        {
            await cluster.UntilAsync(async () => await node.SqlAsync($"SHOW {parameter}") == value,
                $"{node.Name} has {parameter} {value}");
        }
    }

    private static JsonObject Limits(int connections, int workers, int senders, int locks) => Parameters(
        ("max_connections", connections), ("max_worker_processes", workers), ("max_wal_senders", senders),
        ("max_locks_per_transaction", locks));

    private static JsonObject Parameters(params (string Name, JsonNode? Value)[] parameters) => new()
    {
        ["postgresql"] = new JsonObject
        {
            ["parameters"] =
                new JsonObject(parameters.Select(parameter => KeyValuePair.Create(parameter.Name, parameter.Value))),
        },
    };
}
