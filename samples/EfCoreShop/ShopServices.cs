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
        services.AddRoutingDataSource(connectionString);
        return isPooled ? services.AddDbContextPool<ShopContext>(Configure)
            : services.AddDbContext<ShopContext>(Configure);
    }

    private static void Configure(IServiceProvider provider, DbContextOptionsBuilder options)
    {
        var source = provider.GetRequiredService<RoutingDataSource>();
        // 25006 means that nothing was written: safe to repeat.
        options.UseNpgsql(source, npgsql => npgsql.EnableRetryOnFailure([PostgresErrorCodes.ReadOnlySqlTransaction]))
            .UseRouting(source);
    }
}
