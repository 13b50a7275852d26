using Dapper;
using Npgsql;
using Routing.Driver;

namespace Routing.DapperShop;

/// <summary>Dapper asks for nothing but an open connection: the data source says to whom.</summary>
public sealed class Shop(RoutingDataSource write)
{
    private readonly RoutingDataSource _read = write.WithTarget(TargetSessionAttributes.PreferStandby);

    public async Task CreateAsync()
    {
        await using var connection = await write.OpenConnectionAsync();
        await connection.ExecuteAsync(
            "CREATE TABLE IF NOT EXISTS dapper_orders (id bigserial PRIMARY KEY, article text)");
    }

    /// <summary>Writes an order; repeated as a whole when a failover undid it.</summary>
    public Task<long> OrderAsync(string article) => write.RunAsync((transaction, _) =>
        transaction.Connection!.QuerySingleAsync<long>(
            "INSERT INTO dapper_orders (article) VALUES (@article) RETURNING id", new { article }, transaction));

    /// <summary>Counts orders on a replica: perhaps not the latest.</summary>
    public async Task<long> CountAsync()
    {
        await using var connection = await _read.OpenConnectionAsync();
        return await connection.QuerySingleAsync<long>("SELECT count(*) FROM dapper_orders");
    }
}
