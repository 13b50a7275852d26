using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Routing.EfCoreShop;

var builder = Host.CreateApplicationBuilder();
builder.Services.AddShop(args[0], isPooled: true).AddScoped<Shop>();
using var host = builder.Build();
await host.StartAsync();
using (var scope = host.Services.CreateScope())
{
    var shop = scope.ServiceProvider.GetRequiredService<Shop>();
    await shop.MigrateAsync(default);
    await shop.OrderAsync("umbrella", default);
    await shop.SendAllAsync(default);
    Console.WriteLine($"{(await shop.CountSentAsync()).Count} orders were sent.");
}
await host.StopAsync();
