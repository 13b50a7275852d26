using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Changes of the configuration reach PostgreSQL while it runs.</summary>
[Collection(SecondCluster.Name)]
public sealed class ConfigurationTests(ClusterFixture fixture)
{
    [Fact]
    public async Task A_change_of_the_dynamic_configuration_reaches_every_node_and_a_needed_restart_is_told()
    {
        var (cluster, leader) = await fixture.TakeAsync();

        await cluster.ConfigureAsync(Parameters("work_mem", "7MB", "max_connections", 60));
        foreach (var node in cluster.Nodes)
        {
            await cluster.UntilAsync(async () => await node.SqlAsync("SHOW work_mem") == "7MB",
                $"{node.Name} has reloaded");
            await cluster.UntilAsync(
                async () => (await node.GetAsync("/patroni"))?["pending_restart"]?.GetValue<bool>() == true,
                $"{node.Name} tells that it has to be restarted");
        }
        var status = await leader.DocumentAsync("/patroni");
        var file = await File.ReadAllTextAsync(
            Path.Combine(leader.DataDirectory, "postgresql.conf"), TestContext.Current.CancellationToken);
        await cluster.UntilAsync(
            async () =>
                (await cluster.Keys.GetAsync($"members/{leader.Name}"))?.Json["pending_restart"]?.GetValue<bool>()
                    == true,
            "the member key tells the restart");
        await cluster.ConfigureAsync(Parameters("work_mem", null, "max_connections", 50));
        foreach (var node in cluster.Nodes)
        {
            var waiting = "";
            await cluster.UntilAsync(
                async () =>
                    (waiting =
                        (await node.DocumentAsync("/patroni"))["pending_restart_reason"]?.ToJsonString()) is null,
                () => $"{node.Name} has no need to be restarted: {waiting}");
        }

        Assert.Contains("work_mem = '7MB'", file, StringComparison.Ordinal);
        Assert.Contains("max_connections = '60'", file, StringComparison.Ordinal);
        Assert.Equal("50", status["pending_restart_reason"]!["max_connections"]!["old_value"]!.ToString());
        Assert.Equal("60", status["pending_restart_reason"]!["max_connections"]!["new_value"]!.ToString());
        Assert.Equal("4MB", await leader.SqlAsync("SHOW work_mem"));
        Assert.Equal(leader, await cluster.HealthyAsync());
    }

    /// <summary>
    /// After a change to long leases the rest of a short one is less than the margin; after one to short leases a
    /// guard's deadline is too far away.
    /// </summary>
    [Fact]
    public async Task A_change_of_the_ttl_costs_the_leader_nothing()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var before = await cluster.Keys.GetAsync("leader");
        await using var writer = await Writer.StartAsync(cluster, Writer.LongPatience);
        try
        {
            await ChangeAsync(30);
            await ChangeAsync(3);
            await ChangeAsync(30);
        }
        finally
        {
            await ChangeAsync((int)cluster.Ttl.TotalSeconds);
        }
        await writer.MoreAsync(20);
        await writer.StopAsync();

        Assert.Empty(writer.Errors);
        Assert.Equal(before!.CreateRevision, (await cluster.Keys.GetAsync("leader"))!.CreateRevision);
        Assert.Equal(leader, await cluster.HealthyAsync());

        async Task ChangeAsync(int ttl)
        {
            var lease = (await cluster.Keys.GetAsync("leader"))?.Lease;
            await cluster.ConfigureAsync(new JsonObject { ["ttl"] = ttl });
            await cluster.UntilAsync(
                async () => (await cluster.Keys.GetAsync("leader"))?.Lease is { } now && now != lease,
                $"the leader key hangs on a lease of {ttl} s");
        }
    }

    [Fact]
    public async Task The_settings_of_a_role_follow_the_role()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await cluster.ConfigureAsync(new JsonObject
        {
            ["postgresql"] = new JsonObject
            {
                ["parameters_primary"] = new JsonObject { ["work_mem"] = "8MB" },
                ["parameters_replica"] = new JsonObject { ["work_mem"] = "6MB" },
            },
        });
        await EachHasItsOwnAsync(leader);

        await leader.SendAsync("POST", "/switchover", new JsonObject { ["leader"] = leader.Name });
        var next = await cluster.HealthyAsync();
        Assert.NotEqual(leader, next);
        await EachHasItsOwnAsync(next);
        var file = await File.ReadAllTextAsync(
            Path.Combine(next.DataDirectory, "postgresql.conf"), TestContext.Current.CancellationToken);
        await cluster.ConfigureAsync(new JsonObject
        {
            ["postgresql"] = new JsonObject { ["parameters_primary"] = null, ["parameters_replica"] = null },
        });

        Assert.DoesNotContain("primary_conninfo", file, StringComparison.Ordinal);
        Assert.Equal(next, await cluster.HealthyAsync());

        async Task EachHasItsOwnAsync(TestNode primary)
        {
            foreach (var node in cluster.Nodes)
            {
                var wanted = node == primary ? "8MB" : "6MB";
                await cluster.UntilAsync(
                    async () => await node.SqlAsync("SHOW work_mem") == wanted,
                    $"{node.Name} has the settings of its role");
            }
        }
    }

    [Fact]
    public async Task A_local_parameter_and_pg_hba_take_effect_with_SIGHUP_on_this_node_alone()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var postgresql = leader.Config["postgresql"]!.AsObject();
        var file = Path.Combine(leader.DataDirectory, "pg_hba.conf");
        var before = await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken);

        postgresql["parameters"]!["work_mem"] = "9MB";
        postgresql["pg_hba"] = new JsonArray(
            "host replication all 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256",
            "host all nobody 127.0.0.2/32 reject");
        leader.WriteConfig();
        leader.SignalAgent(ProcessSignal.Hangup);
        await cluster.UntilAsync(async () => await leader.SqlAsync("SHOW work_mem") == "9MB",
            "the leader has reloaded");
        var rules = await leader.SqlAsync("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'reject'");
        var elsewhere = await cluster.ReplicasOf(leader)[0].SqlAsync("SHOW work_mem");
        postgresql["parameters"]!.AsObject().Remove("work_mem");
        postgresql.Remove("pg_hba");
        leader.WriteConfig();
        // Without the setting the file is its owner's: the next test finds it as it was, on every node alike.
        await File.WriteAllTextAsync(file, before, TestContext.Current.CancellationToken);
        var (code, text) = await leader.SendAsync("POST", "/reload");
        await cluster.UntilAsync(async () => await leader.SqlAsync("SHOW work_mem") == "4MB",
            "the leader has reloaded");

        Assert.Equal(("1", "4MB"), (rules, elsewhere));
        Assert.Equal((202, "reload scheduled"), (code, text));
        Assert.Equal(leader, await cluster.HealthyAsync());
    }

    [Fact]
    public async Task A_broken_file_is_refused_by_SIGHUP_and_the_old_configuration_stays()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var refused = leader.CountInLog("The configuration was not reloaded");

        leader.WriteConfig("scope: [pay\n");
        leader.SignalAgent(ProcessSignal.Hangup);
        await cluster.UntilAsync(() => leader.CountInLog("The configuration was not reloaded") > refused,
            "the agent refuses the file");
        leader.WriteConfig();
        leader.SignalAgent(ProcessSignal.Hangup);

        Assert.Equal(leader, await cluster.HealthyAsync());
    }

    [Fact]
    public async Task A_changed_ttl_is_adopted_and_the_keys_move_to_the_new_lease()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var term = (await cluster.Keys.GetAsync("leader"))!.CreateRevision;
        var lease = (await cluster.Keys.GetAsync("leader"))!.Lease;

        await cluster.ConfigureAsync(new JsonObject { ["ttl"] = 9 });
        await cluster.UntilAsync(
            async () => await cluster.Keys.GetAsync("leader") is { } key && key.Lease != lease
                && (await cluster.Keys.GetAsync($"members/{leader.Name}"))?.Lease == key.Lease,
            "leader and member key are on a new lease");
        await cluster.ConfigureAsync(new JsonObject { ["ttl"] = 6 });

        Assert.Equal(leader, await cluster.HealthyAsync());
        Assert.Equal(term, (await cluster.Keys.GetAsync("leader"))!.CreateRevision);
    }

    private static JsonObject Parameters(string first, JsonNode? one, string second, JsonNode? two) => new()
    {
        ["postgresql"] = new JsonObject { ["parameters"] = new JsonObject { [first] = one, [second] = two } },
    };
}
