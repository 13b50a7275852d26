using Routing.Driver;
using Routing.Driver.EntityFrameworkCore;

namespace Microsoft.EntityFrameworkCore;

/// <summary>Lets contexts follow the cluster.</summary>
public static class RoutingDbContextOptionsExtensions
{
    /// <summary>
    /// Gives a context, each time it opens its connection, one to the member that is right now. Beside
    /// <c>UseNpgsql(source)</c> with the same data source.
    /// </summary>
    /// <param name="builder">The context's options.</param>
    /// <param name="source">The data source; its target decides who is right.</param>
    public static DbContextOptionsBuilder UseRouting(this DbContextOptionsBuilder builder, RoutingDataSource source)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(source);
        // The same objects for the same source: EF builds its services anew for interceptors that it has not seen.
        return builder.AddInterceptors(LateBindingInterceptor.For(source), ReadOnlyInterceptor.For(source));
    }

    /// <inheritdoc cref="UseRouting(DbContextOptionsBuilder, RoutingDataSource)"/>
    /// <typeparam name="TContext">The context.</typeparam>
    public static DbContextOptionsBuilder<TContext> UseRouting<TContext>(
        this DbContextOptionsBuilder<TContext> builder, RoutingDataSource source)
        where TContext : DbContext =>
        (DbContextOptionsBuilder<TContext>)UseRouting((DbContextOptionsBuilder)builder, source);
}
