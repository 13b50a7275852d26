using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Routing.Driver;

namespace Routing.EfCoreShop;

/// <summary>How contexts are registered so that they follow the leader, pooled or not.</summary>
public static class ShopServices
{
    public static IServiceCollection AddShop(this IServiceCollection services, string connectionString, bool isPooled)
    {
        services.AddRoutingDataSource(
            connectionString,
            (_, source) => source.ConfigureMember(npgsql => npgsql.MapEnum<OrderState>("order_state")));
        return isPooled ? services.AddDbContextPool<ShopContext>(Configure)
            : services.AddDbContext<ShopContext>(Configure);
    }

    private static void Configure(IServiceProvider provider, DbContextOptionsBuilder options)
    {
        var source = provider.GetRequiredService<RoutingDataSource>();
        options.UseNpgsql(source, npgsql => npgsql
            .MapEnum<OrderState>("order_state")
            // 25006 means that nothing was written: safe to repeat.
            .EnableRetryOnFailure([PostgresErrorCodes.ReadOnlySqlTransaction])).UseRouting(source);
    }
}
