using Microsoft.EntityFrameworkCore;

namespace Routing.EfCoreShop;

/// <summary>The shop's tables.</summary>
public sealed class ShopContext(DbContextOptions<ShopContext> options) : DbContext(options)
{
    public DbSet<Order> Orders => Set<Order>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Order>().ToTable("ef_orders");
}
