using System.Globalization;
using System.Text.RegularExpressions;
using Routing.TestKit;

namespace Routing.Integration.Tests.Migration;

/// <summary>Servers that run already, and that nobody manages, become a cluster.</summary>
public sealed partial class TakeoverTests : IAsyncLifetime
{
    private const string Page = "node takeover";
    private TestCluster _cluster = null!;

    public async ValueTask InitializeAsync() => _cluster = await TestCluster.PrepareAsync(new() { Nodes = 2 });

    public async ValueTask DisposeAsync() => await _cluster.DisposeAsync();

    [Fact]
    public async Task A_primary_and_its_standby_are_taken_over_without_a_restart()
    {
        var (primary, standby) = (_cluster.Nodes[0], _cluster.Nodes[1]);
        await HandMadeServers.MakePrimaryAsync(primary, $"cluster_name = '{_cluster.Scope}'");
        await HandMadeServers.MakeStandbyAsync(standby, primary);
        await using var writer = await Writer.StartAsync(_cluster, Writer.LongPatience, primary);
        var before = _cluster.Nodes.Select(node => node.PostmasterPid).ToArray();

        foreach (var node in _cluster.Nodes)
        {
            var said = await GenerateAsync(node);
            Assert.Contains("without a restart", said, StringComparison.Ordinal);
        }
        await StartAsync(primary);
        await _cluster.LeaderAsync();
        await StartAsync(standby);
        Assert.Equal(primary, await _cluster.HealthyAsync(TestCluster.Patience * 2));
        var (_, list) = await _cluster.CtlAsync("list", "-f", "json");
        await writer.MoreAsync(20);

        Assert.Equal(before, _cluster.Nodes.Select(node => node.PostmasterPid));
        Assert.Empty(writer.Errors);
        Assert.DoesNotContain("Pending restart", list, StringComparison.Ordinal);
        Assert.Equal("n2", await primary.SqlAsync("SELECT slot_name FROM pg_replication_slots WHERE active"));

        await primary.KillAsync();
        Assert.Equal(standby, await _cluster.LeaderAsync(not: primary, within: TestCluster.Patience * 2));
        await writer.MoreAsync(20, TestCluster.Patience * 2);
        primary.Start();
        Assert.Equal(standby, await _cluster.HealthyAsync(TestCluster.Patience * 2));
    }

    [Fact]
    public async Task What_needs_a_restart_is_said_and_left_to_a_person()
    {
        var primary = _cluster.Nodes[0];
        await HandMadeServers.MakePrimaryAsync(primary, "wal_level = minimal\nmax_wal_senders = 0");
        var before = primary.PostmasterPid;

        // A primary that lost its lease on a busy machine would come back with the new settings by itself.
        var said = await GenerateAsync(primary, ttl: 30);
        await StartAsync(primary);
        await _cluster.LeaderAsync();
        await _cluster.UntilAsync(
            async () => (await primary.GetAsync("/patroni"))?["pending_restart_reason"]?["wal_level"] is not null,
            "the restart is known to be needed");
        var (_, list) = await _cluster.CtlAsync("list", "-f", "json");
        var adopted = primary.PostmasterPid;
        var (code, restarted) = await _cluster.CtlAsync("restart", _cluster.Scope, "--pending", "--force");
        Assert.True(code == 0, restarted);
        await _cluster.LeaderAsync();

        foreach (var (name, now, becomes) in (ReadOnlySpan<(string, string, string)>)
            [("wal_level", "minimal", "replica"), ("max_wal_senders", "0", "10"), ("cluster_name", "empty", "pay")])
        {
            Assert.Contains($"- {name}: {now}, becomes {becomes}", said, StringComparison.Ordinal);
            Assert.Contains(name, list, StringComparison.Ordinal);
        }
        Assert.Equal(before, adopted);
        Assert.NotEqual(before, primary.PostmasterPid);
        Assert.Equal("replica", await primary.SqlAsync("SHOW wal_level"));
    }

    /// <summary>The commands of the page that follow, on a node.</summary>
    private async Task StartAsync(TestNode node)
    {
        var commands = MigrationPage.Commands(Page);
        Assert.Equal(3, commands.Count);
        foreach (var command in commands.Skip(1))
        {
            await MigrationPage.RunCommandAsync(_cluster, node, command);
        }
    }

    /// <summary>Writes the configuration of a node from its running server, with the times of a test.</summary>
    /// <returns>What was said beside it.</returns>
    private async Task<string> GenerateAsync(TestNode node, int ttl = 6)
    {
        var file = Path.Combine(node.DirectoryPath, "generated.yml");
        var words = Word().Matches(MigrationPage.Commands(Page)[0]).Select(word => word.Value.Trim('"')).ToArray();
        Assert.Equal(["routing-agent", "--generate-config", "--dsn"], words[..3]);
        (string Name, string Value)[] variables =
        [
            ("SCOPE", _cluster.Scope), ("NAME", node.Name),
            ("ETCD3_HOSTS", $"{_cluster.Etcd.Endpoint.Host}:{_cluster.Etcd.Endpoint.Port}"),
            ("RESTAPI_LISTEN", $"127.0.0.1:{node.RestPort}"),
            ("RESTAPI_CONNECT_ADDRESS", $"127.0.0.1:{node.RestPort}"),
            ("POSTGRESQL_CONNECT_ADDRESS", $"127.0.0.1:{node.Port}"),
            ("REPLICATION_USERNAME", "replicator"), ("REPLICATION_PASSWORD", "repl"),
            ("POSTGRESQL_PGPASS", Path.Combine(node.DirectoryPath, "pgpass")),
        ];
        var said = await HandMadeServers.RunAsync(node,
            ["env", .. variables.Select(variable => $"PATRONI_{variable.Name}={variable.Value}"), Programs.Agent,
             "--generate-config", "--dsn", string.Create(CultureInfo.InvariantCulture,
                 $"{words[3].Replace("change-me", "super", StringComparison.Ordinal)} port={node.Port}"), file]);
        var yaml = await File.ReadAllTextAsync(file);
        Assert.DoesNotContain("FIXME", yaml, StringComparison.Ordinal);
        node.WriteConfig(yaml.Replace("    ttl: 30\n", $"    ttl: {ttl}\n", StringComparison.Ordinal)
            .Replace("    loop_wait: 10\n", "    loop_wait: 1\n", StringComparison.Ordinal)
            .Replace("    retry_timeout: 10\n", "    retry_timeout: 1\n", StringComparison.Ordinal));
        return said;
    }

    [GeneratedRegex("\"[^\"]*\"|[^ ]+", RegexOptions.CultureInvariant)]
    private static partial Regex Word();
}
