using System.Transactions;
using Npgsql;

namespace Routing.Driver.Tests.Real;

/// <summary>What an application that comes from Npgsql does, on a real cluster.</summary>
[Collection(SharedCluster.Name)]
[Trait("Category", "Integration")]
public sealed class LikeNpgsqlTests(DriverCluster fixture)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Replication_connections_go_to_the_leader_also_with_a_password_from_a_provider()
    {
        var (cluster, _) = await fixture.TakeAsync();
        var login =
            DriverCluster.Login.Replace("Password=super", "Application Name=replicates", StringComparison.Ordinal);
        await using var source = new RoutingDataSourceBuilder(
            $"Cluster={cluster.Scope};Etcd={cluster.Etcd.Endpoint.Host}:{cluster.Etcd.Endpoint.Port};{login}")
            .ConfigureMember(
                npgsql => npgsql.UsePasswordProvider(_ => "super", (_, _) => ValueTask.FromResult("super"))).Build();

        await using var logical = await source.OpenLogicalReplicationConnectionAsync(Cancellation);
        var seenByLogical = await logical.IdentifySystem(Cancellation);
        await using var physical = await source.OpenPhysicalReplicationConnectionAsync(Cancellation);
        var seenByPhysical = await physical.IdentifySystem(Cancellation);

        Assert.Equal("postgres", seenByLogical.DbName);
        Assert.Equal(seenByLogical.SystemId, seenByPhysical.SystemId);
    }

    [Fact]
    public async Task A_read_from_a_standby_belongs_outside_of_a_transaction_scope()
    {
        var (cluster, _) = await fixture.TakeAsync();
        await using var source = DriverCluster.Source(cluster);
        await DriverCluster.RunAsync(source, "CREATE TABLE IF NOT EXISTS scoped (id int)");

        // The scope's isolation is serializable, which a standby does not have.
        var refused = await Assert.ThrowsAsync<PostgresException>(() => WriteAsync(async () =>
        {
            using var scope =
                new TransactionScope(TransactionScopeOption.Required, TransactionScopeAsyncFlowOption.Enabled);
            return await ReadAsync(source);
        }));
        var count = await WriteAsync(async () =>
        {
            using var scope =
                new TransactionScope(TransactionScopeOption.Suppress, TransactionScopeAsyncFlowOption.Enabled);
            return await ReadAsync(source);
        });

        Assert.Equal(PostgresErrorCodes.FeatureNotSupported, refused.SqlState);
        Assert.Equal(0L, count);
        await using var connection = await source.OpenConnectionAsync(Cancellation);
        await using var written = new NpgsqlCommand("SELECT count(*) FROM scoped", connection);
        // both of the second scope, none of the first
        Assert.Equal(2L, await written.ExecuteScalarAsync(Cancellation));

        async Task<long> WriteAsync(Func<Task<long>> readAsync)
        {
            using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
            await DriverCluster.RunAsync(source, "INSERT INTO scoped VALUES (1)");
            var seen = await readAsync();
            // again on the session of the scope
            await DriverCluster.RunAsync(source, "INSERT INTO scoped VALUES (2)");
            scope.Complete();
            return seen;
        }
    }

    private static async Task<long> ReadAsync(RoutingDataSource source)
    {
        await using var connection = await source.OpenConnectionAsync(TargetSessionAttributes.Standby, Cancellation);
        await using var question = new NpgsqlCommand("SELECT pg_is_in_recovery()::int::bigint - 1", connection);
        return (long)(await question.ExecuteScalarAsync(Cancellation))!;
    }
}
