using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>A required watchdog whose device is there and cannot be used.</summary>
public sealed class WatchdogTests
{
    [Fact]
    public async Task A_leader_whose_device_cannot_be_opened_steps_down_once_and_does_not_race_until_it_can()
    {
        await using var cluster = await TestCluster.StartAsync(new() { Nodes = 1 });
        var node = await cluster.HealthyAsync();
        await node.KillAgentAsync();
        var device = Path.Combine(node.DirectoryPath, "watchdog");
        await File.WriteAllTextAsync(device, "", TestContext.Current.CancellationToken);
        await RunAsync("chmod", "000", device);
        Require(node, device);

        node.Start();
        // Many more runs than a promotion and the demotion after it take.
        await cluster.UntilAsync(async () => await DecisionsAsync(node, "watchdog") >= 15,
            "it goes on refusing to race");

        Assert.Null(await cluster.LeaderNameAsync());
        Assert.Equal("1", await node.SqlAsync("SELECT timeline_id FROM pg_control_checkpoint()"));
        Assert.Equal("True", await node.SqlAsync("SELECT pg_is_in_recovery()"));
        Assert.Equal(1, node.CountInLog("The watchdog is required and can't be used"));

        await node.KillAgentAsync();
        node.Config["watchdog"]!["mode"] = "off";
        node.WriteConfig();
        node.Start();
        Assert.Equal(node, await cluster.HealthyAsync());
    }

    [Fact]
    public async Task A_device_whose_opening_would_wait_for_ever_holds_nobody_up()
    {
        await using var cluster = await TestCluster.PrepareAsync(new() { Nodes = 1 });
        var node = cluster.Nodes[0];
        var pipe = Path.Combine(node.DirectoryPath, "watchdog");
        await RunAsync("mkfifo", "-m", "222", pipe);
        Require(node, pipe);

        node.Start();
        await cluster.UntilAsync(
            async () => (await node.GetAsync("/patroni"))?["watchdog_failed"]?.GetValue<bool>() == true,
            "the REST tells it");

        Assert.Equal(0, await node.StopAsync());
        Assert.Null(await cluster.Keys.GetAsync("initialize"));
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, process.ExitCode);
    }

    private static void Require(TestNode node, string device)
    {
        node.Config["watchdog"] = new JsonObject { ["mode"] = "required", ["device"] = device, ["safety_margin"] = 1 };
        node.WriteConfig();
    }

    private static async Task<double> DecisionsAsync(TestNode node, string code)
    {
        var (_, metrics) = await node.SendAsync("GET", "/metrics");
        var line = metrics.Split('\n').FirstOrDefault(line =>
            line.StartsWith("routing_decisions_total", StringComparison.Ordinal)
                && line.Contains($"code=\"{code}\"", StringComparison.Ordinal));
        return line is null ? 0 : double.Parse(line.Split(' ')[^1], CultureInfo.InvariantCulture);
    }
}
