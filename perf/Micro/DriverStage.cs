using System.Data.Common;
using System.Text.Json.Nodes;
using Npgsql;
using Routing.Driver;
using Routing.TestKit;

namespace Routing.Micro;

/// <summary>
/// A cluster of three, and three ways to its leader: a bare data source on it, Npgsql's own over all hosts, and the
/// driver.
/// </summary>
internal sealed class DriverStage : IAsyncDisposable
{
    public const int PoolSize = 64;

    private const string Login =
        "Username=postgres;Password=super;Database=postgres;SSL Mode=Disable;GSS Encryption Mode=Disable";

    private DriverStage(TestCluster cluster, TestNode leader)
    {
        Cluster = cluster;
        Bare = NpgsqlDataSource.Create($"Host=127.0.0.1;Port={leader.Port};{Login};Maximum Pool Size={PoolSize}");
        MultiHost = MakeMultiHost(cluster);
        Routing = MakeRouting(cluster);
    }

    public TestCluster Cluster { get; }

    public NpgsqlDataSource Bare { get; }

    public NpgsqlDataSource MultiHost { get; }

    public RoutingDataSource Routing { get; }

    /// <summary>The three, with the names that the tables use.</summary>
    public IReadOnlyList<(string Name, DbDataSource Source)> Ways =>
        [("bare", Bare), ("multi-host", MultiHost), ("driver", Routing)];

    public static async Task<DriverStage> StartAsync()
    {
        var cluster = await TestCluster.StartAsync(new TestClusterOptions
        {
            Dcs =
                new JsonObject { ["postgresql"] =
                    new JsonObject { ["parameters"] = new JsonObject { ["max_connections"] = 300 } } },
        });
        return new DriverStage(cluster, await cluster.HealthyAsync());
    }

    public static NpgsqlDataSource MakeMultiHost(TestCluster cluster) =>
        new NpgsqlDataSourceBuilder(
            $"Host={string.Join(',', cluster.Nodes.Select(node => $"127.0.0.1:{node.Port}"))};{Login};Maximum Pool "
                + $"Size={PoolSize}")
            .BuildMultiHost().WithTargetSession(TargetSessionAttributes.Primary);

    public static RoutingDataSource MakeRouting(TestCluster cluster) => RoutingDataSource.Create(
        $"Cluster={cluster.Scope};Etcd={cluster.Etcd.Endpoint.Host}:{cluster.Etcd.Endpoint.Port};{Login};Maximum Pool "
            + $"Size={PoolSize}");

    /// <summary>Opens as an application would: each way has a method of its own that hides the general one.</summary>
    public static ValueTask<NpgsqlConnection> OpenAsync(DbDataSource source) =>
        source is RoutingDataSource routing
            ? routing.OpenConnectionAsync()
            : ((NpgsqlDataSource)source).OpenConnectionAsync();

    public async ValueTask DisposeAsync()
    {
        await Routing.DisposeAsync();
        await MultiHost.DisposeAsync();
        await Bare.DisposeAsync();
        await Cluster.DisposeAsync();
    }
}
