using System.Diagnostics;
using System.Runtime.Versioning;
using System.Text;
using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>
/// An agent that cannot begin says why and ends with an exit code; one that waits can be told to stop.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class ProcessStartTests : IAsyncLifetime
{
    private TestCluster _cluster = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _cluster = await TestCluster.PrepareAsync(new() { Nodes = 1 });

    public async ValueTask DisposeAsync() => await _cluster.DisposeAsync();

    [Theory]
    [InlineData("""{"restapi":{"listen":"203.0.113.1:8008"}}""", "REST cannot listen on 203.0.113.1:8008: ")]
    [InlineData("""{"restapi":{"certfile":"/nonexistent/rest.pem"}}""", "/nonexistent/rest.pem")]
    [InlineData("""{"ctl":{"certfile":"/nonexistent/ctl.pem"}}""", "/nonexistent/ctl.pem")]
    [InlineData("""{"etcd3":{"protocol":"https","cacert":"/nonexistent/ca.pem"}}""", "/nonexistent/ca.pem")]
    [InlineData("""{"log":{"dir":"/proc/nowhere/log"}}""", "log.dir: '/proc/nowhere/log': ")]
    public async Task What_cannot_be_used_ends_the_start_with_code_1_and_is_named(string over, string named)
    {
        var node = _cluster.Nodes[0];
        foreach (var (section, values) in JsonNode.Parse(over)!.AsObject())
        {
            foreach (var (key, value) in values!.AsObject())
            {
                node.Config[section] ??= new JsonObject();
                node.Config[section]![key] = value?.DeepClone();
            }
        }
        node.WriteConfig();

        node.Start();
        var code = await node.WaitForAgentExitAsync(TimeSpan.FromSeconds(20));

        Assert.Equal(1, code);
        Assert.True(node.CountInLog(named) > 0, node.LogTail());
        Assert.Equal(0, node.CountInLog("Unhandled exception"));
    }

    /// <summary>The file itself can't be used: a start and a check end with 1, its name, and what is wrong.</summary>
    [Theory]
    [InlineData("rights", "can't be read: Access to the path")]
    [InlineData("utf-16", ":1: has the character U+0000, which YAML does not allow (is this UTF-16")]
    [InlineData("latin-1", ": is not UTF-8")]
    [InlineData("tag", ":2: name the YAML tag tag:yaml.org,2002:python/object is not understood")]
    [InlineData("directory", ": the configuration is empty")]
    public async Task A_file_that_can_not_be_used_is_named(string what, string words)
    {
        var file = Path.Combine(_cluster.Nodes[0].DirectoryPath, $"odd-{what}.yml");
        var text = "scope: pay\nname: grün\n";
        switch (what)
        {
            case "directory":
                Directory.CreateDirectory(file);
                break;
            case "tag":
                await File.WriteAllTextAsync(file, "scope: pay\nname: !!python/object x\n", Cancellation);
                break;
            default:
                await File.WriteAllBytesAsync(file,
                    what == "utf-16" ? Encoding.Unicode.GetBytes("scope: pay\n") : Encoding.Latin1.GetBytes(text),
                    Cancellation);
                break;
        }
        if (what == "rights")
        {
            File.SetUnixFileMode(file, UnixFileMode.None);
        }

        foreach (var command in (string[][])[[Programs.Agent, file], [Programs.Agent, "--validate-config", file]])
        {
            var log = Path.Combine(_cluster.Nodes[0].DirectoryPath, $"odd-{what}.log");
            using var agent = OrdinaryProcess.Start(log, _cluster.Nodes[0].DirectoryPath, command);
            var code = await agent.WaitForExitAsync(TimeSpan.FromSeconds(60));
            var said = await File.ReadAllTextAsync(log, TestContext.Current.CancellationToken);

            Assert.Equal(1, code);
            Assert.Contains($"odd-{what}.yml", said, StringComparison.Ordinal);
            Assert.Contains(words, said.Replace(": name: 'x': ", ": name ", StringComparison.Ordinal)
                .Replace(": name x ", ": name ", StringComparison.Ordinal), StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", said, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_agent_that_waits_for_the_DCS_can_be_told_to_stop()
    {
        var node = _cluster.Nodes[0];
        await _cluster.Etcd.StopAsync();
        node.Start();
        await _cluster.UntilAsync(
            () => File.Exists(node.LogFile) && node.CountInLog("connection refused") > 0,
            "the agent has asked etcd, and says why there is no answer");
        Assert.Equal(0, node.CountInLog("RequestException"));
        var began = Stopwatch.GetTimestamp();

        node.SignalAgent(ProcessSignal.Terminate);
        var code = await node.WaitForAgentExitAsync(TestCluster.Patience);

        Assert.Equal(0, code);
        BusyMachine.AssertWithin(TimeSpan.FromSeconds(10), Stopwatch.GetElapsedTime(began));
    }

    [Fact]
    public async Task Where_the_file_is_missing_the_environment_may_hold_the_configuration()
    {
        var node = _cluster.Nodes[0];
        var missing = Path.Combine(node.DirectoryPath, "nothing.yml");
        var log = Path.Combine(node.DirectoryPath, "start.log");

        using var agent = OrdinaryProcess.Start(
            log, node.DirectoryPath, "/usr/bin/env", "PATRONI_CONFIGURATION={scope: pay, name: n1}", Programs.Agent,
            missing);
        var code = await agent.WaitForExitAsync(TimeSpan.FromSeconds(20));

        Assert.Equal(1, code);
        Assert.Contains("PATRONI_CONFIGURATION: restapi.listen: is not defined.",
            await File.ReadAllTextAsync(log, TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }
}
