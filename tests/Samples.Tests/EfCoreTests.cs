using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Routing.Driver;
using Routing.EfCoreShop;
using Routing.TestKit;

namespace Routing.Samples.Tests;

/// <summary>What docs/efcore.md says, on a real cluster and over switchovers.</summary>
[Collection(SampleCluster.Name)]
public sealed class EfCoreTests(SampleCluster fixture)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_shop_is_migrated_and_goes_on_over_switchovers(bool isPooled)
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await leader.SqlAsync("DROP DATABASE IF EXISTS ef_shop");
        await using var provider = Provide(cluster, "ef_shop", isPooled);
        var source = provider.GetRequiredService<RoutingDataSource>();

        await WithShopAsync(provider, shop => shop.MigrateAsync(Cancellation));   // makes the database, too
        await WithShopAsync(provider, shop => shop.MigrateAsync(Cancellation));
        await WithShopAsync(provider, shop => shop.OrderAsync("umbrella", Cancellation));
        var now = await SampleCluster.SwitchOverAsync(cluster, leader);

        // Without an error, so without EF Core's own retries; Dapper first, with what the context's pool has kept.
        await WithShopAsync(provider, async shop => Assert.Equal((0L, now.Port), await shop.CountSentAsync()));
        await WithShopAsync(provider, shop => shop.SendAllAsync(Cancellation));
        await WithShopAsync(provider, async shop => Assert.Equal((1L, now.Port), await shop.CountSentAsync()));
        now = await SampleCluster.SwitchOverAsync(cluster, now);
        await WithContextAsync(provider, async context =>
        {
            context.Database.OpenConnection();   // in sync, too; and open over several commands
            Assert.Equal(OrderState.Sent, context.Orders.Single().State);
            await new Shop(context).OrderAsync("boots", Cancellation);
            Assert.Equal(now.Port, ((NpgsqlConnection)context.Database.GetDbConnection()).Port);
            context.Database.CloseConnection();
        });
        // The type came into being after this pool: read it from a replica, too.
        var read = source.WithTarget(TargetSessionAttributes.Standby);
        await cluster.UntilAsync(async () => await CountAsync(read) == 2, "the replica knows of both orders");
        await using var reader = new ShopContext(new DbContextOptionsBuilder<ShopContext>()
            .UseNpgsql(read, npgsql => npgsql.MapEnum<OrderState>("order_state")).UseRouting(read).Options);
        Assert.Equal([OrderState.Sent, OrderState.Open],
            await reader.Orders.OrderBy(order => order.Id).Select(order => order.State).ToListAsync(Cancellation));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_database_is_created_and_deleted_at_the_leader_of_the_moment(bool isAsync)
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await leader.SqlAsync("DROP DATABASE IF EXISTS ef_passing");
        await using var provider = Provide(cluster, "ef_passing", isPooled: true);
        await WithContextAsync(provider,
            async context => Assert.False(await context.Database.CanConnectAsync(Cancellation)));

        await WithContextAsync(provider, async context =>
        {
            Assert.True(await CreateAsync(context));
            Assert.False(await CreateAsync(context));
            await new Shop(context).OrderAsync("umbrella", Cancellation);
        });
        var now = await SampleCluster.SwitchOverAsync(cluster, leader);
        await WithContextAsync(provider, async context =>
        {
            Assert.True(isAsync ? await context.Database.CanConnectAsync(Cancellation) : context.Database.CanConnect());
            Assert.Equal(System.Data.ConnectionState.Closed, context.Database.GetDbConnection().State);
            Assert.True(await DeleteAsync(context));
            Assert.False(await DeleteAsync(context));
            Assert.True(await CreateAsync(context));
            await new Shop(context).OrderAsync("boots", Cancellation);   // with the types of the new database
            Assert.Equal(OrderState.Open, await context.Orders.Select(order => order.State).SingleAsync(Cancellation));
            Assert.True(await DeleteAsync(context));
        });

        Assert.Equal("0", await now.SqlAsync("SELECT count(*) FROM pg_database WHERE datname = 'ef_passing'"));

        async Task<bool> CreateAsync(ShopContext context) =>
            isAsync ? await context.Database.EnsureCreatedAsync(Cancellation) : context.Database.EnsureCreated();

        async Task<bool> DeleteAsync(ShopContext context) =>
            isAsync ? await context.Database.EnsureDeletedAsync(Cancellation) : context.Database.EnsureDeleted();
    }

    private static ServiceProvider Provide(TestCluster cluster, string database, bool isPooled) =>
        new ServiceCollection()
        .AddShop(SampleCluster.ConnectionString(cluster)
            .Replace("Database=postgres", $"Database={database}", StringComparison.Ordinal), isPooled)
        .BuildServiceProvider();

    private static async Task WithContextAsync(ServiceProvider provider, Func<ShopContext, Task> work)
    {
        await using var scope = provider.CreateAsyncScope();
        await work(scope.ServiceProvider.GetRequiredService<ShopContext>());
    }

    private static Task WithShopAsync(ServiceProvider provider, Func<Shop, Task> work) =>
        WithContextAsync(provider, context => work(new Shop(context)));

    private static async Task<long> CountAsync(RoutingDataSource read)
    {
        await using var question = read.CreateCommand("SELECT count(*) FROM ef_orders");
        return (long)(await question.ExecuteScalarAsync(Cancellation))!;
    }
}
