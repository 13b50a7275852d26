using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Routing.EfCoreShop;

var builder = Host.CreateApplicationBuilder();
builder.Services.AddShop(args[0], isPooled: true);
using var host = builder.Build();
await host.StartAsync();
using (var scope = host.Services.CreateScope())
{
    var shop = scope.ServiceProvider.GetRequiredService<ShopContext>();
    await shop.Database.ExecuteSqlRawAsync(
        "CREATE TABLE IF NOT EXISTS ef_orders (\"Id\" bigserial PRIMARY KEY, \"Article\" text NOT NULL)");
    shop.Orders.Add(new Order { Article = "umbrella" });
    await shop.SaveChangesAsync();
    Console.WriteLine($"{await shop.Orders.CountAsync()} orders.");
}
await host.StopAsync();
