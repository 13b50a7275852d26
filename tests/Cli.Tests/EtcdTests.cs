using Microsoft.Extensions.Logging.Abstractions;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;
using Routing.Dcs.Etcd;
using Routing.TestKit;

namespace Routing.Cli.Tests;

[Trait("Category", "Integration")]
public sealed class EtcdTests
{
    [Fact]
    public async Task A_cluster_in_etcd_is_listed_and_switched_over_through_its_key()
    {
        await using var etcd = await EtcdServer.StartAsync();
        await using var agents = new EtcdClusterStore(
            new EtcdOptions { Endpoints = [etcd.Endpoint] }, "/db", "pay", TimeProvider.System,
            NullLoggerFactory.Instance);
        var api = $"http://127.0.0.1:{FreePorts.Take()}/patroni";
        var token = TestContext.Current.CancellationToken;
        await PutAsync(ClusterKeys.Leader, "pg-a");
        await PutAsync(ClusterKeys.Member("pg-a"),
            $$"""{"conn_url":"postgres://h1/postgres","api_url":"{{api}}","role":"primary","state":"running"}""");
        await PutAsync(ClusterKeys.Member("pg-b"),
            """{"conn_url":"postgres://h2/postgres","role":"replica","state":"running"}""");
        var ctl = new Ctl { UsesEtcd = true };

        var listed = await ctl.RunAsync($"-d {etcd.Endpoint.Authority}/db list pay -f tsv");
        var handingOver = HandOverAsync();
        var switched = await ctl.RunAsync($"-d {etcd.Endpoint.Authority}/db switchover pay --force --candidate pg-b");
        await handingOver;

        Assert.Contains("\npay\tpg-a\th1\tLeader\trunning\t", listed.Output, StringComparison.Ordinal);
        Assert.Equal(0, switched.ExitCode);
        Assert.Contains("Successfully switched over to \"pg-b\"", switched.Output, StringComparison.Ordinal);

        async Task PutAsync(string key, string value) =>
            Assert.True((await agents.PutAsync(key, value, WriteCondition.Always, leaseId: 0, token)).IsDone);

        async Task HandOverAsync()
        {
            Assert.NotNull(await agents.WaitAsync(
                now => now.Failover is { Candidate: "pg-b" }, TimeSpan.FromSeconds(15), TimeProvider.System, token));
            await PutAsync(ClusterKeys.Leader, "pg-b");
            await PutAsync(ClusterKeys.Failover, KeyWriter.NoFailover);
            await PutAsync(ClusterKeys.Member("pg-b"),
                """{"conn_url":"postgres://h2/postgres","role":"primary","state":"running"}""");
        }
    }

    [Fact]
    public async Task An_etcd_that_is_not_there_ends_with_1_and_a_hint()
    {
        var ctl = new Ctl { UsesEtcd = true };

        var port = FreePorts.Take();
        var ended = await ctl.RunAsync($"-d 127.0.0.1:{port} list pay");

        Assert.Equal(1, ended.ExitCode);
        Assert.Contains("Error: ", ended.Error, StringComparison.Ordinal);
        Assert.Contains($"http://127.0.0.1:{port}: connection refused", ended.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", ended.Error, StringComparison.Ordinal);
        Assert.Single(ended.Error.Split('\n'), line => line.Contains(" - WARNING - ", StringComparison.Ordinal));
        Assert.Contains("Hint: Is etcd running", ended.Error, StringComparison.Ordinal);
    }
}
