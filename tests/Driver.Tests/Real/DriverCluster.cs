using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.TestKit;

namespace Routing.Driver.Tests.Real;

/// <summary>A cluster of three in synchronous mode: whatever was acknowledged must survive every fault.</summary>
public sealed class DriverCluster : ClusterFixture
{
    protected override TestClusterOptions Options => new()
    {
        Dcs = new JsonObject
        {
            ["synchronous_mode"] = true,
            ["postgresql"] = new JsonObject { ["parameters"] = new JsonObject { ["max_connections"] = 200 } },
        },
    };

    /// <summary>A data source for a cluster, as an application would make it.</summary>
    internal static RoutingDataSource Source(TestCluster cluster, string more = "", ILoggerFactory? log = null) =>
        new RoutingDataSourceBuilder(
            $"Cluster={cluster.Scope};Etcd={cluster.Etcd.Endpoint.Host}:{cluster.Etcd.Endpoint.Port};{Login};{more}")
            .UseLoggerFactory(log).Build();

    internal const string Login = "Username=postgres;Password=super;Database=postgres;SSL Mode=Disable";

    internal static async Task RunAsync(RoutingDataSource source, string sql)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    internal static async Task SwitchOverAsync(TestCluster cluster, TestNode leader)
    {
        // In synchronous mode the leader goes to a synchronous standby alone.
        var candidate = "";
        await cluster.UntilAsync(
            async () =>
                (candidate = (await cluster.Keys.GetAsync("sync"))?.Json["sync_standby"]?.ToString() ?? "").Length > 0,
            "a synchronous standby is named");
        var (code, text) = await leader.SendAsync(
            "POST", "/switchover",
            new JsonObject { ["leader"] = leader.Name, ["candidate"] = candidate.Split(',')[0] });
        Assert.True(code == 200, text + cluster.Report());
    }

    protected override Task UntilReadyAsync(TestCluster cluster) => cluster.SynchronousAsync();
}

/// <summary>The classes that share one cluster.</summary>
[CollectionDefinition(Name)]
public sealed class SharedCluster : ICollectionFixture<DriverCluster>
{
    public const string Name = "one synchronous cluster of three";
}
