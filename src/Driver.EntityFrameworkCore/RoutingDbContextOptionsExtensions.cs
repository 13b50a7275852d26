using Microsoft.EntityFrameworkCore.Infrastructure;
using Routing.Driver;
using Routing.Driver.EntityFrameworkCore;

namespace Microsoft.EntityFrameworkCore;

/// <summary>Lets contexts follow the cluster.</summary>
public static class RoutingDbContextOptionsExtensions
{
    /// <summary>
    /// Lets a context open its connections as the data source does: to the member that is right at that moment, waiting
    /// for a leader, for a free connection, or going elsewhere. After <c>UseNpgsql(source)</c> with the same data
    /// source.
    /// </summary>
    /// <remarks>
    /// Connections that the application gives to the context (<c>SetDbConnection</c>, <c>SetConnectionString</c>) are
    /// left alone. <c>Migrate</c>, <c>EnsureCreated</c> and <c>EnsureDeleted</c> work at the leader.
    /// </remarks>
    /// <param name="builder">The context's options.</param>
    /// <param name="source">The data source; its target decides which members are right.</param>
    public static DbContextOptionsBuilder UseRouting(this DbContextOptionsBuilder builder, RoutingDataSource source)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(source);
        ((IDbContextOptionsBuilderInfrastructure)builder).AddOrUpdateExtension(new RoutingOptionsExtension(source));
        // The same objects for the same source: EF builds its services anew for interceptors that it has not seen.
        return builder.AddInterceptors(LateBindingInterceptor.For(source), CommandInterceptor.For(source));
    }

    /// <inheritdoc cref="UseRouting(DbContextOptionsBuilder, RoutingDataSource)"/>
    /// <typeparam name="TContext">The context.</typeparam>
    public static DbContextOptionsBuilder<TContext> UseRouting<TContext>(
        this DbContextOptionsBuilder<TContext> builder, RoutingDataSource source)
        where TContext : DbContext =>
        (DbContextOptionsBuilder<TContext>)UseRouting((DbContextOptionsBuilder)builder, source);
}
