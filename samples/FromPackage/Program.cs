using Npgsql;
using Routing.Driver;

if (args is not [var connectionString])
{
    Console.Error.WriteLine(
        "Usage: routing-sample \"Cluster=demo;Etcd=127.0.0.1:2379;Username=…;Password=…;Database=…\"");
    return 2;
}

await using var source = RoutingDataSource.Create(connectionString);
source.TopologyChanged += (_, change) => Console.WriteLine($"Now {change.Current}");

// A connection to the leader, as from any data source.
CausalToken token;
await using (var connection = await source.OpenConnectionAsync())
{
    await using var create =
        new NpgsqlCommand("CREATE TABLE IF NOT EXISTS orders (id bigserial PRIMARY KEY, article text)", connection);
    await create.ExecuteNonQueryAsync();
    token = await RoutingDataSource.CaptureTokenAsync(connection);
}

// A transaction that is repeated as a whole if the leader changes under it.
var order = await source.RunAsync(async (transaction, cancellation) =>
{
    await using var insert =
        new NpgsqlCommand("INSERT INTO orders (article) VALUES ($1) RETURNING id", transaction.Connection, transaction)
    {
        Parameters = { new() { Value = "umbrella" } },
    };
    return (long)(await insert.ExecuteScalarAsync(cancellation))!;
});
await using (var connection = await source.OpenConnectionAsync())
{
    token = await RoutingDataSource.CaptureTokenAsync(connection);
}

// A read that sees it, on a replica where one is far enough.
await using (var connection = await source.OpenConnectionAsync(token))
{
    await using var select = new NpgsqlCommand(
        "SELECT article FROM orders WHERE id = $1", connection) { Parameters = { new() { Value = order } } };
    var where = source.Topology.Members.First(member => member.Port == connection.Port);
    Console.WriteLine(
        $"Order {order} is an {await select.ExecuteScalarAsync()}, by {where}; {source.Topology.Leader} leads.");
}
return 0;
