using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>What a new cluster of three looks like: keys, REST, PostgreSQL, routingctl.</summary>
public sealed class BootstrapTests(ClusterFixture fixture) : IClassFixture<ClusterFixture>
{
    [Fact]
    public async Task A_newcluster_writes_every_key_as_a_member_of_the_reference_version_would()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var systemId = await leader.SqlAsync("SELECT system_identifier FROM pg_control_system()");

        var keys = await cluster.Keys.AllAsync();

        Assert.Equal(["config", "initialize", "leader", "members/n1", "members/n2", "members/n3", "status"],
            keys.Keys.Where(key => key != "history" && !key.StartsWith("routing/", StringComparison.Ordinal)));
        Assert.Equal(systemId, keys["initialize"].Value);
        Assert.Equal(0, keys["initialize"].Lease);
        Assert.Equal(leader.Name, keys["leader"].Value);
        Assert.NotEqual(0, keys["leader"].Lease);
        Assert.Equal(keys["leader"].Lease, keys[$"members/{leader.Name}"].Lease);
        Assert.Equal(6, keys["config"].Json["ttl"]!.GetValue<int>());
        Assert.True(keys["status"].Json["optime"]!.GetValue<long>() > 0);
        foreach (var node in cluster.Nodes)
        {
            var member = keys[$"members/{node.Name}"];
            Assert.NotEqual(0, member.Lease);
            Assert.Equal($"postgres://127.0.0.1:{node.Port}/postgres", member.Json["conn_url"]!.ToString());
            Assert.Equal($"http://127.0.0.1:{node.RestPort}/patroni", member.Json["api_url"]!.ToString());
            Assert.Equal("running", member.Json["state"]!.ToString());
            Assert.Equal(node == leader ? "primary" : "replica", member.Json["role"]!.ToString());
            Assert.Equal(1, member.Json["timeline"]!.GetValue<int>());
            Assert.Equal(node == leader ? null : "streaming", member.Json["replication_state"]?.ToString());
        }
    }

    [Fact]
    public async Task The_health_checks_of_each_node_tell_its_role()
    {
        var (cluster, leader) = await fixture.TakeAsync();

        // A copy begins a segment (16 MB) behind; until the next look at its server it tells so.
        foreach (var replica in cluster.ReplicasOf(leader))
        {
            await cluster.UntilAsync(async () => await replica.StatusAsync("/replica?lag=10MB") == 200,
                $"{replica.Name} has caught up");
        }
        foreach (var node in cluster.Nodes)
        {
            var leads = node == leader;
            var expected = new Dictionary<string, bool>
            {
                ["/"] = leads, ["/primary"] = leads, ["/master"] = leads, ["/read-write"] = leads, ["/leader"] = leads,
                ["/standby-leader"] = false, ["/replica"] = !leads, ["/replica?lag=10MB"] = !leads,
                ["/read-only"] = true,
                ["/health"] = true, ["/sync"] = false, ["/synchronous"] = false, ["/quorum"] = false,
                ["/async"] = !leads, ["/asynchronous"] = !leads, ["/read-only-sync"] = leads,
                ["/read-only-quorum"] = leads,
                ["/readiness"] = true, ["/liveness"] = true, ["/patroni"] = true, ["/metrics"] = true,
                ["/cluster"] = true, ["/history"] = true, ["/config"] = true, ["/nowhere"] = false,
            };
            foreach (var (path, ok) in expected)
            {
                Assert.Equal((node.Name, path, ok ? 200 : 503), (node.Name, path, await node.StatusAsync(path)));
            }
            Assert.Equal(leads ? 200 : 503, await node.StatusAsync("/primary", "OPTIONS"));
            Assert.Equal(leads ? 503 : 200, await node.StatusAsync("/replica", "HEAD"));
            Assert.Equal(503, await node.StatusAsync("/patroni", "HEAD"));
        }
    }

    [Fact]
    public async Task The_status_document_of_the_leader_names_its_standbys()
    {
        var (cluster, leader) = await fixture.TakeAsync();

        var status = await leader.DocumentAsync("/patroni");

        Assert.Equal(
            cluster.ReplicasOf(leader).Select(node => node.Name).Order(),
            status["replication"]!.AsArray().Select(standby => standby!["application_name"]!.ToString()).Order());
        Assert.All(status["replication"]!.AsArray(),
            standby => Assert.Equal("127.0.0.1", standby!["client_addr"]!.ToString()));
        Assert.Equal(PostgresUnderTest.Major, status["server_version"]!.GetValue<int>() / 10000);
        Assert.Equal((await cluster.Keys.GetAsync("initialize"))!.Value,
            status["database_system_identifier"]!.ToString());
        Assert.Equal("pay", status["patroni"]!["scope"]!.ToString());
        Assert.Null(status["pending_restart"]);
    }

    [Fact]
    public async Task Thecluster_has_its_roles_checksums_and_a_slot_per_standby()
    {
        var (cluster, leader) = await fixture.TakeAsync();

        Assert.Equal("on", await leader.SqlAsync("SHOW data_checksums"));
        Assert.Equal(
            "t", await leader.SqlAsync("SELECT rolreplication::text::char FROM pg_roles WHERE rolname = 'replicator'"));
        Assert.Equal(
            "1", await leader.SqlAsync("SELECT count(*) FROM pg_roles WHERE rolname = 'rewinder' AND NOT rolsuper"));
        Assert.Equal("pay", await leader.SqlAsync("SHOW cluster_name"));
        var slots = await leader.SqlAsync(
            "SELECT string_agg(slot_name, ',' ORDER BY slot_name) FROM pg_replication_slots WHERE active");
        Assert.Equal(string.Join(',', cluster.ReplicasOf(leader).Select(node => node.Name)), slots);
    }

    [Fact]
    public async Task Routingctl_lists_the_members()
    {
        var (cluster, leader) = await fixture.TakeAsync();

        var (code, output) = await cluster.CtlAsync("list", "-f", "json");

        Assert.Equal(0, code);
        var rows = JsonNode.Parse(output)!.AsArray();
        Assert.Equal(["n1", "n2", "n3"], rows.Select(row => row!["Member"]!.ToString()));
        Assert.Equal(
            cluster.Nodes.Select(node => node == leader ? "Leader" : "Replica"),
            rows.Select(row => row!["Role"]!.ToString()));
        Assert.All(rows, row =>
            Assert.Equal(row!["Role"]!.ToString() == "Leader" ? "running" : "streaming", row["State"]!.ToString()));
    }

    [Fact]
    public async Task A_second_agent_of_the_same_name_refuses_to_start()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var twin = leader.Config.DeepClone().AsObject();
        twin["restapi"]!["listen"] = $"127.0.0.1:{FreePorts.Take()}";
        twin["postgresql"]!["data_dir"] = leader.DataDirectory + "-second";
        var file = Path.Combine(leader.DirectoryPath, "second.yml");
        await File.WriteAllTextAsync(file, twin.ToJsonString(), TestContext.Current.CancellationToken);

        using var second = leader.StartAgent(file);
        try
        {
            Assert.Equal(1, await second.WaitForExitAsync(TimeSpan.FromSeconds(30)));
        }
        finally
        {
            if (!second.HasExited)
            {
                second.Send(ProcessSignal.Kill);
            }
        }
        Assert.Equal(1, leader.CountInLog($"there is already a node named '{leader.Name}' running"));
        Assert.Equal(leader, await cluster.HealthyAsync());
    }
}
