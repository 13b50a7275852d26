using Routing.DapperShop;
using Routing.Driver;

await using var source = RoutingDataSource.Create(args[0]);
var shop = new Shop(source);
await shop.CreateAsync();
var order = await shop.OrderAsync("umbrella");
Console.WriteLine($"Order {order}; the replicas know of {await shop.CountAsync()}.");
