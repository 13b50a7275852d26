using Dapper;
using Microsoft.EntityFrameworkCore;

namespace Routing.EfCoreShop;

/// <summary>What the shop does with a context.</summary>
public sealed class Shop(ShopContext context)
{
    /// <summary>Brings the database to the newest migration, and makes it where there is none.</summary>
    public Task MigrateAsync(CancellationToken cancellationToken) => context.Database.MigrateAsync(cancellationToken);

    public async Task<long> OrderAsync(string article, CancellationToken cancellationToken)
    {
        var order = new Order { Article = article };
        context.Orders.Add(order);
        await context.SaveChangesAsync(cancellationToken);
        return order.Id;
    }

    /// <summary>
    /// Several steps in one transaction: repeated as a whole by the execution strategy, from the query on.
    /// </summary>
    public Task SendAllAsync(CancellationToken cancellationToken)
    {
        var strategy = context.Database.CreateExecutionStrategy();
        return strategy.ExecuteAsync(
            async token =>
            {
                context.ChangeTracker.Clear();   // what an attempt in vain has left behind
                await using var transaction = await context.Database.BeginTransactionAsync(token);
                await foreach (var order in context.Orders.Where(order => order.State == OrderState.Open)
                    .AsAsyncEnumerable().WithCancellation(token))
                {
                    order.State = OrderState.Sent;
                }
                await context.SaveChangesAsync(token);
                await transaction.CommitAsync(token);
            },
            cancellationToken);
    }

    /// <summary>Dapper beside EF Core, on the context's own connection.</summary>
    public async Task<(long Count, int Port)> CountSentAsync()
    {
        var connection = context.Database.GetDbConnection();
        return await connection.QuerySingleAsync<(long, int)>(
            "SELECT count(*), inet_server_port() FROM ef_orders WHERE \"State\" = 'sent'");
    }
}
