using Npgsql;
using Routing.TestKit;

namespace Routing.Driver.Tests.Real;

/// <summary>What is configured or loaded for the cluster holds in every pool.</summary>
[Collection(SharedCluster.Name)]
[Trait("Category", "Integration")]
public sealed class TypesTests(DriverCluster fixture)
{
    private enum Colour
    {
        Red,
        Green,
    }

    public enum Way
    {
        Source,
        SourceInSync,
        Connection,
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(Way.Source)]
    [InlineData(Way.SourceInSync)]
    [InlineData(Way.Connection)]
    public async Task Types_of_a_migration_become_known_to_pools_that_were_open_before(Way way)
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using (var cleaner = DriverCluster.Source(cluster))
        {
            await DriverCluster.RunAsync(cleaner, "DROP TABLE IF EXISTS coloured; DROP TYPE IF EXISTS colour");
        }
        await using var source = new RoutingDataSourceBuilder(
                $"Cluster={cluster.Scope};Etcd={cluster.Etcd.Endpoint.Host}:{cluster.Etcd.Endpoint.Port}"
                + $";{DriverCluster.Login};Read Policy=round-robin")
            .ConfigureMember(npgsql => npgsql.MapEnum<Colour>("colour")).Build();
        for (var turn = 0; turn < 4; turn++)   // all pools are open, with the types of before
        {
            await (await source.OpenConnectionAsync(Cancellation)).DisposeAsync();
            await (await source.OpenConnectionAsync(TargetSessionAttributes.Standby, Cancellation)).DisposeAsync();
        }
        var lagging = cluster.ReplicasOf(leader)[0];
        await lagging.SqlAsync("SELECT pg_wal_replay_pause()");

        await DriverCluster.RunAsync(source,
            "CREATE TYPE colour AS ENUM ('red', 'green'); CREATE TABLE coloured (colour colour)");
        switch (way)
        {
            case Way.Source:
                await source.ReloadTypesAsync(Cancellation);
                break;
            case Way.SourceInSync:
                source.ReloadTypes();
                break;
            default:
                await using (var one = await source.OpenConnectionAsync(Cancellation))
                {
                    await one.ReloadTypesAsync(Cancellation);
                }
                break;
        }
        await using (var write = await source.OpenConnectionAsync(Cancellation))
        {
            await using var insert = new NpgsqlCommand(
                "INSERT INTO coloured VALUES ($1)", write) { Parameters = { new() { Value = Colour.Green } } };
            await insert.ExecuteNonQueryAsync(Cancellation);
        }
        // One replica does not know the type yet: whoever reads there now must not make it forget for good.
        for (var turn = 0; turn < 4; turn++)
        {
            await (await source.OpenConnectionAsync(TargetSessionAttributes.Standby, Cancellation)).DisposeAsync();
        }
        await lagging.SqlAsync("SELECT pg_wal_replay_resume()");
        await cluster.UntilAsync(
            async () => await lagging.SqlAsync("SELECT count(*) FROM pg_class WHERE relname = 'coloured'") == "1",
            "the replica has the table");
        var token = await CaptureAsync(source);

        var ports = new HashSet<int>();
        for (var turn = 0; turn < 40 && ports.Count < 2; turn++)
        {
            await using var read = await source.OpenConnectionAsync(TargetSessionAttributes.Standby, Cancellation);
            await WaitUntil.TrueAsync(async () => await HasReplayedAsync(read, token));
            await using var select = new NpgsqlCommand("SELECT colour FROM coloured", read);
            await using var reader = await select.ExecuteReaderAsync(Cancellation);
            Assert.True(await reader.ReadAsync(Cancellation));
            Assert.Equal(Colour.Green, reader.GetFieldValue<Colour>(0));
            ports.Add(read.Port);
        }
        Assert.Equal(2, ports.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_initializer_set_on_Npgsql_s_builder_runs_in_both_kinds_of_pools(bool isAsync)
    {
        var (cluster, _) = await fixture.TakeAsync();
        await using var source = new RoutingDataSourceBuilder(
                $"Cluster={cluster.Scope};Etcd={cluster.Etcd.Endpoint.Host}:{cluster.Etcd.Endpoint.Port}"
                + $";{DriverCluster.Login};No Reset On Close=true")
            .ConfigureMember(npgsql => npgsql.UsePhysicalConnectionInitializer(
                one => Say(one, "SET my.builder = 'yes'"), one => SayAsync(one, "SET my.builder = 'yes'")))
            .UsePhysicalConnectionInitializer(
                one => Say(one, "SET my.source = 'yes'"), one => SayAsync(one, "SET my.source = 'yes'"))
            .Build();

        foreach (var target in new[] { TargetSessionAttributes.Primary, TargetSessionAttributes.Standby })
        {
            await using var connection =
                isAsync ? await source.OpenConnectionAsync(target, Cancellation) : source.OpenConnection(target);
            await using var question =
                new NpgsqlCommand("SELECT current_setting('my.builder') || current_setting('my.source')", connection);
            Assert.Equal("yesyes", await question.ExecuteScalarAsync(Cancellation));
        }
    }

    private static void Say(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        command.ExecuteNonQuery();
    }

    private static async Task SayAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    private static async Task<CausalToken> CaptureAsync(RoutingDataSource source)
    {
        await using var connection = await source.OpenConnectionAsync(Cancellation);
        return await RoutingDataSource.CaptureTokenAsync(connection, Cancellation);
    }

    private static async Task<bool> HasReplayedAsync(NpgsqlConnection connection, CausalToken token)
    {
        await using var question =
            new NpgsqlCommand($"SELECT pg_last_wal_replay_lsn() >= '{token.Lsn}'::pg_lsn", connection);
        return await question.ExecuteScalarAsync(Cancellation) is true;
    }
}
