using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>The operator's scripts: callbacks, before_stop, pre_promote, post_bootstrap.</summary>
public sealed class HookTests
{
    [Fact]
    public async Task Callbacks_get_event_role_and_cluster_and_a_change_of_role_takes_the_place_of_the_start()
    {
        await using var cluster = await TestCluster.StartAsync(new() { Nodes = 2, Configure = AddHooks });
        var leader = await cluster.HealthyAsync();
        var other = cluster.ReplicasOf(leader)[0];
        await CalledAsync(cluster, leader, "on_start primary pay");
        await CalledAsync(cluster, other, "on_start replica pay");

        await leader.SendAsync("POST", "/reload");
        await CalledAsync(cluster, leader, "on_start primary pay|on_reload primary pay");
        await other.SendAsync("POST", "/restart");
        await CalledAsync(cluster, other, "on_start replica pay|before_stop|on_restart replica pay");
        Assert.Equal(leader, await cluster.HealthyAsync());   // the other one streams again
        var (code, text) = await leader.SendAsync("POST", "/switchover", new JsonObject { ["leader"] = leader.Name });
        Assert.True(code == 200, text);
        Assert.Equal(other, await cluster.HealthyAsync());

        // The change of role ends on_stop's script where that still runs: whether it got as far as to write is left
        // open.
        await CalledAsync(
            cluster, leader, "on_start primary pay|on_reload primary pay|before_stop|on_role_change replica pay",
            leftOpen: "on_stop primary pay");
        await CalledAsync(
            cluster, other,
            "on_start replica pay|before_stop|on_restart replica pay|pre_promote|on_role_change primary pay");
    }

    [Fact]
    public async Task A_primary_that_stops_for_good_calls_its_callback()
    {
        await using var cluster = await TestCluster.StartAsync(new() { Nodes = 2, Configure = AddHooks });
        var leader = await cluster.HealthyAsync();
        await CalledAsync(cluster, leader, "on_start primary pay");

        // nothing can be started from that directory any more
        File.Delete(Path.Combine(leader.DataDirectory, "PG_VERSION"));
        await cluster.LeaderAsync(not: leader);

        await CalledAsync(cluster, leader, "on_start primary pay|before_stop|on_stop primary pay");
    }

    [Fact]
    public async Task A_leader_that_gives_the_key_up_because_its_server_is_down_is_demoted_at_once()
    {
        await using var cluster = await TestCluster.StartAsync(new()
        {
            Nodes = 2,
            Configure = AddHooks,
            Dcs = new JsonObject { ["primary_start_timeout"] = 0 },
        });
        var leader = await cluster.HealthyAsync();
        await CalledAsync(cluster, leader, "on_start primary pay");

        leader.SignalPostmaster(ProcessSignal.Kill);
        await cluster.LeaderAsync(not: leader);

        await CalledAsync(cluster, leader,
            "on_start primary pay|on_role_change demoted pay|on_role_change replica pay");
    }

    [Fact]
    public async Task A_member_whose_pre_promote_refuses_does_not_become_a_primary_and_leaves_the_key_to_another()
    {
        await using var cluster = await TestCluster.StartAsync(new() { Nodes = 2, Configure = AddHooks });
        var leader = await cluster.HealthyAsync();
        var other = cluster.ReplicasOf(leader)[0];
        await File.WriteAllTextAsync(Path.Combine(other.DirectoryPath, "forbidden"), "",
            TestContext.Current.CancellationToken);

        await leader.SendAsync("POST", "/switchover",
            new JsonObject { ["leader"] = leader.Name, ["candidate"] = other.Name });
        await cluster.UntilAsync(() => Calls(other).Contains("pre_promote"), "the other member was about to promote");

        Assert.Equal(leader, await cluster.HealthyAsync());
        Assert.DoesNotContain("on_role_change primary pay", Calls(other));
    }

    [Fact]
    public async Task A_script_after_the_bootstrap_gets_a_connection_string_and_its_failure_puts_the_cluster_aside()
    {
        await using var cluster = await TestCluster.PrepareAsync(new() { Nodes = 1, Configure = AddHooks });
        var node = cluster.Nodes[0];
        node.Config["bootstrap"]!["post_bootstrap"] = $"sh {node.DirectoryPath}/hook.sh 'two words'";
        node.WriteConfig();
        await File.WriteAllTextAsync(
            Path.Combine(node.DirectoryPath, "hook.sh"),
            $"echo \"$PGOPTIONS|$1|$2\" >> {node.DirectoryPath}/calls\nexit 3\n",
            TestContext.Current.CancellationToken);

        node.Start();
        var code = await node.WaitForAgentExitAsync(TimeSpan.FromSeconds(60));

        Assert.Equal(1, code);
        Assert.Equal(
            "-c synchronous_commit=local -c statement_timeout=0|two words|"
            + $"dbname=postgres user=postgres host=127.0.0.1 port={node.Port} sslmode=prefer gssencmode=prefer "
            + "channel_binding=prefer" + (PostgresUnderTest.Major >= 17 ? " sslnegotiation=postgres" : ""),
            Calls(node)[0]);
        Assert.DoesNotContain(Calls(node), call => call.Contains("on_start", StringComparison.Ordinal));
        Assert.Empty(Directory.EnumerateFileSystemEntries(node.DataDirectory));
        Assert.True(File.Exists(Path.Combine(node.DataDirectory + ".failed", "PG_VERSION")));
        Assert.Null(node.PostmasterPid);
        Assert.Null(await cluster.Keys.GetAsync("initialize"));
    }

    /// <summary>Every hook appends a line to one file of its node.</summary>
    private static void AddHooks(TestNode node, JsonObject config)
    {
        var script = Path.Combine(node.DirectoryPath, "hook.sh");
        File.WriteAllText(script, $"""
            echo "$*" >> {node.DirectoryPath}/calls
            test "$1" != pre_promote || test ! -e {node.DirectoryPath}/forbidden

            """);
        var postgresql = config["postgresql"]!;
        postgresql["callbacks"] =
            new JsonObject(new[] { "on_start", "on_stop", "on_restart", "on_reload", "on_role_change" }
            .Select(name => KeyValuePair.Create(name, (JsonNode?)$"sh {script}")));
        postgresql["pre_promote"] = $"sh {script} pre_promote";
        postgresql["before_stop"] = $"sh {script} before_stop";
    }

    private static Task CalledAsync(TestCluster cluster, TestNode node, string expected, string? leftOpen = null) =>
        cluster.UntilAsync(
            () => Task.FromResult(string.Join('|', Calls(node).Where(call => call != leftOpen)) == expected),
            () => $"{node.Name} called '{expected}', not '{string.Join('|', Calls(node))}'");

    private static string[] Calls(TestNode node)
    {
        var file = Path.Combine(node.DirectoryPath, "calls");
        return File.Exists(file) ? File.ReadAllLines(file) : [];
    }
}
