using System.Globalization;
using System.Text.Json.Nodes;
using Routing.Integration.Tests.Tools;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Debian's <c>patronictl</c>, unmodified, does with a cluster of ours whatever it can do.</summary>
[Collection(SecondCluster.Name)]
public sealed class PatronictlTests(ClusterFixture fixture)
{
    [Fact]
    public async Task It_shows_members_history_configuration_and_versions()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        Installed.Require("patroni");
        using var ctl = new Patronictl(cluster);
        string[] query = ["-c", "SELECT pg_is_in_recovery() AS standby", "--format", "json"];

        // Each takes the better part of a second to start.
        var answers = await Task.WhenAll(
            ctl.DoneAsync("list", "-e", cluster.Scope), ctl.DoneAsync("topology", cluster.Scope),
            ctl.DoneAsync("history", "-f", "json", cluster.Scope), ctl.DoneAsync("show-config", cluster.Scope),
            ctl.DoneAsync("dsn", cluster.Scope), ctl.DoneAsync("dsn", "-r", "replica", cluster.Scope),
            ctl.DoneAsync(["query", cluster.Scope, "-r", "primary", .. query]),
            ctl.DoneAsync(["query", cluster.Scope, "-r", "replica", .. query]),
            ctl.DoneAsync("version", cluster.Scope));
        var rows = await ctl.ListAsync();

        Assert.All(cluster.Nodes, node =>
        {
            var row = Assert.Single(rows, row => (string?)row["Member"] == node.Name);
            Assert.Equal($"127.0.0.1:{node.Port}", (string?)row["Host"]);
            Assert.Equal(node == leader ? "Leader" : "Replica", (string?)row["Role"]);
            // From 3.0.4 on the standbys of this list stream.
            Assert.Contains((string?)row["State"], (string[])(node == leader ? ["running"] : ["running", "streaming"]));
            Assert.Matches($@"(?m)^\| {node.Name} +\| 127\.0\.0\.1:{node.Port} ", answers[0]);
            Assert.Matches(
                $@"(?m)^\| {(node == leader ? "" : @"\+ ")}{node.Name} +\| 127\.0\.0\.1:{node.Port} ",
                answers[1]);
            Assert.Matches($@"(?m)^{node.Name}: Patroni 4\.\d+\.\d+ PostgreSQL \d+", answers[8]);
        });
        Assert.Single(rows.Select(row => row["TL"]!.ToJsonString()).Distinct());
        Assert.All(JsonNode.Parse(answers[2])!.AsArray(), line => Assert.IsType<JsonObject>(line));
        Assert.Contains("max_connections: 50", answers[3], StringComparison.Ordinal);
        Assert.Equal($"host=127.0.0.1 port={leader.Port}\n", answers[4]);
        Assert.Contains(
            answers[5], cluster.ReplicasOf(leader).Select(node => $"host=127.0.0.1 port={node.Port}\n"));
        Assert.Contains("\"standby\": false", answers[6], StringComparison.Ordinal);
        Assert.Contains("\"standby\": true", answers[7], StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_edits_the_configuration_pauses_and_reloads()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        Installed.Require("patroni");
        using var ctl = new Patronictl(cluster);

        var (applied, text) = await ctl.RunAsync(
            "postgresql: {parameters: {work_mem: 5MB}}", "edit-config", cluster.Scope, "-q", "--apply", "-", "--force");
        Assert.True(applied == 0, text);
        await TakenAsync("work_mem", "5MB");
        var set = await ctl.DoneAsync("edit-config", cluster.Scope, "-q", "--force", "-s",
            "postgresql.parameters.work_mem=null", "-p", "random_page_cost=1.5");
        await TakenAsync("work_mem", "4MB");
        await TakenAsync("random_page_cost", "1.5");
        var same = await ctl.DoneAsync("edit-config", cluster.Scope, "--force", "-p", "random_page_cost=1.5");
        await ctl.DoneAsync("edit-config", cluster.Scope, "-q", "--force", "-p", "random_page_cost=null");
        var paused = await ctl.DoneAsync("pause", "--wait", cluster.Scope);
        var list = await ctl.DoneAsync("list", cluster.Scope);
        var resumed = await ctl.DoneAsync("resume", "--wait", cluster.Scope);
        var reloaded = await ctl.DoneAsync("reload", cluster.Scope, "--force");

        Assert.Contains("Configuration changed", set, StringComparison.Ordinal);
        Assert.Contains("Not changed", same, StringComparison.Ordinal);
        Assert.EndsWith("Success: cluster management is paused\n", paused, StringComparison.Ordinal);
        Assert.Contains(" Maintenance mode: on", list, StringComparison.Ordinal);
        Assert.EndsWith("Success: cluster management is resumed\n", resumed, StringComparison.Ordinal);
        Assert.All(cluster.Nodes, node => Assert.Contains(
            $"Reload request received for member {node.Name} ", reloaded, StringComparison.Ordinal));
        Assert.Equal(leader, await cluster.HealthyAsync());

        Task TakenAsync(string parameter, string value) => cluster.UntilAsync(
            async () => await leader.SqlAsync($"SHOW {parameter}") == value, $"the leader has {parameter} = {value}");
    }

    [Fact]
    public async Task It_restarts_by_filter_now_and_later()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        Installed.Require("patroni");
        using var ctl = new Patronictl(cluster);
        var standby = cluster.ReplicasOf(leader)[0];
        var before = cluster.Nodes.ToDictionary(node => node, node => node.PostmasterPid);

        var filtered = await ctl.DoneAsync("restart", cluster.Scope, "--pg-version", "9.6.1", "--force");
        var pending = await ctl.DoneAsync("restart", cluster.Scope, "--pending", "--force");
        var untouched = cluster.Nodes.All(node => node.PostmasterPid == before[node]);
        var replicas = await ctl.DoneAsync("restart", cluster.Scope, "-r", "replica", "--timeout", "60", "--force");
        await cluster.HealthyAsync();
        var own = await ctl.DoneAsync("restart", cluster.Scope, leader.Name, "--force");
        Assert.Equal(leader, await cluster.HealthyAsync());
        var scheduled = await ctl.DoneAsync(
            "restart", cluster.Scope, standby.Name, "--scheduled", InHours(1), "--force");
        await cluster.UntilAsync(
            async () => (await ctl.ListAsync()).Any(row => row["Scheduled restart"] is not null), "the plan is listed");
        var flushed = await ctl.DoneAsync("flush", cluster.Scope, standby.Name, "restart", "--force");
        await cluster.UntilAsync(
            async () => (await ctl.ListAsync()).All(row => row["Scheduled restart"] is null), "the plan is gone");

        Assert.True(untouched, filtered + pending);
        Assert.All(cluster.Nodes, node =>
        {
            Assert.Contains($"Failed: restart for member {node.Name}, status code=503", filtered,
                StringComparison.Ordinal);
            Assert.Contains($"Success: restart on member {node.Name}\n", node == leader ? own : replicas,
                StringComparison.Ordinal);
            Assert.NotEqual(before[node], node.PostmasterPid);
        });
        Assert.Contains($"Success: restart scheduled on member {standby.Name}\n", scheduled, StringComparison.Ordinal);
        Assert.Contains($"Success: flush scheduled restart for member {standby.Name}\n", flushed,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_changes_the_leader_copies_a_standby_anew_and_asks_before_it_removes()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        Installed.Require("patroni");
        using var ctl = new Patronictl(cluster);
        var (second, third) = (cluster.ReplicasOf(leader)[0], cluster.ReplicasOf(leader)[1]);

        var planned = await ctl.DoneAsync("switchover", cluster.Scope, "--leader", leader.Name, "--candidate",
            second.Name, "--scheduled", InHours(1), "--force");
        await cluster.UntilAsync(
            async () => (await ctl.DoneAsync("list", cluster.Scope)).Contains(
                " Switchover scheduled at: ", StringComparison.Ordinal),
            "the switchover is planned");
        var flushed = await ctl.DoneAsync("flush", cluster.Scope, "switchover", "--force");
        var switched = await ctl.DoneAsync(
            "switchover", cluster.Scope, "--leader", leader.Name, "--candidate", second.Name, "--force");
        Assert.Equal(second, await cluster.HealthyAsync());
        var failed = await ctl.DoneAsync("failover", cluster.Scope, "--candidate", third.Name, "--force");
        Assert.Equal(third, await cluster.HealthyAsync());
        var postmaster = leader.PostmasterPid;
        var copied = await ctl.DoneAsync("reinit", cluster.Scope, leader.Name, "--force", "--wait");
        await cluster.HealthyAsync();
        var (refused, why) = await ctl.RunAsync($"{cluster.Scope}\nno\n", "remove", cluster.Scope);

        Assert.Contains("Switchover scheduled", planned, StringComparison.Ordinal);
        Assert.Contains("Success: scheduled switchover deleted", flushed, StringComparison.Ordinal);
        Assert.Contains($"Successfully switched over to \"{second.Name}\"", switched, StringComparison.Ordinal);
        // This version asks for a switchover where a leader is known, whatever the command's name.
        Assert.Matches($"Successfully (failed|switched) over to \"{third.Name}\"", failed);
        Assert.Contains($"Success: reinitialize for member {leader.Name}\n", copied, StringComparison.Ordinal);
        Assert.NotEqual(postmaster, leader.PostmasterPid);
        Assert.Equal(1, refused);
        Assert.Contains("You did not exactly type \"Yes I am aware\"", why, StringComparison.Ordinal);
        Assert.Equal(third, await cluster.HealthyAsync());
    }

    private static string InHours(int hours) =>
        TimeProvider.System.GetUtcNow().AddHours(hours).ToString("yyyy-MM-ddTHH:mm:ss+00:00",
            CultureInfo.InvariantCulture);
}
