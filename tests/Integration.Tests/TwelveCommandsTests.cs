using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>The commands that our first users know from their training, one after the other.</summary>
public sealed class TwelveCommandsTests
{
    [Fact]
    public async Task All_of_them_work_on_one_cluster()
    {
        await using var cluster = await TestCluster.StartAsync();
        var leader = await cluster.HealthyAsync();
        var standby = cluster.ReplicasOf(leader)[0];

        var config = await DoneAsync("show-config", cluster.Scope);
        Assert.Contains("max_connections: 50\n", config, StringComparison.Ordinal);

        var edited = await DoneAsync(
            "edit-config", cluster.Scope, "-s", "postgresql.parameters.work_mem=8MB", "--force");
        Assert.EndsWith("Configuration changed\n", edited, StringComparison.Ordinal);
        await cluster.UntilAsync(
            async () => await standby.SqlAsync("SHOW work_mem") == "8MB", "the standby takes the change");

        var list = await DoneAsync("list", cluster.Scope);
        Assert.All(cluster.Nodes, node => Assert.Contains($"| {node.Name} ", list, StringComparison.Ordinal));
        var extended = await DoneAsync("list", "-e", cluster.Scope);
        Assert.Contains(
            "| Pending restart | Pending restart reason | Scheduled restart | Tags |",
            extended,
            StringComparison.Ordinal);

        var before = standby.PostmasterPid;
        var reinitialized = await DoneAsync("reinit", cluster.Scope, standby.Name, "--force", "--wait");
        Assert.StartsWith(
            $"Success: reinitialize for member {standby.Name}\n", reinitialized, StringComparison.Ordinal);
        Assert.EndsWith($"Reinitialize is completed on: {standby.Name}\n", reinitialized, StringComparison.Ordinal);
        Assert.NotEqual(before, standby.PostmasterPid);
        await cluster.HealthyAsync();

        await DoneAsync("switchover", cluster.Scope, "--candidate", standby.Name, "--force");
        Assert.Equal(standby, await cluster.HealthyAsync());
        await cluster.UntilAsync(
            async () => JsonNode.Parse(await DoneAsync("history", cluster.Scope, "-f", "json"))!.AsArray()
                .Any(line => (string?)line!["New Leader"] == standby.Name),
            "the history names the new leader");

        var paused = await DoneAsync("pause", cluster.Scope, "--wait");
        Assert.EndsWith("Success: cluster management is paused\n", paused, StringComparison.Ordinal);
        var resumed = await DoneAsync("resume", cluster.Scope, "--wait");
        Assert.EndsWith("Success: cluster management is resumed\n", resumed, StringComparison.Ordinal);
        await DoneAsync("reload", cluster.Scope, "--force");
        var restarted = await DoneAsync("restart", cluster.Scope, leader.Name, "--force");
        Assert.Equal($"Success: restart on member {leader.Name}\n", restarted);
        await cluster.HealthyAsync();

        foreach (var node in cluster.Nodes)
        {
            await node.StopAsync();
        }
        var (code, removed) = await cluster.CtlWithInputAsync(
            $"{cluster.Scope}\nYes I am aware\n", "remove", cluster.Scope);
        Assert.True(code == 0, removed);
        Assert.Empty(await cluster.Keys.AllAsync());

        async Task<string> DoneAsync(params string[] command)
        {
            var (exitCode, output) = await cluster.CtlAsync(command);
            Assert.True(exitCode == 0, $"{string.Join(' ', command)}: {output}");
            return output;
        }
    }
}
