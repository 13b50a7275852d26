using Npgsql;
using Prometheus;
using Routing.Driver;

namespace Routing.WebShop;

/// <summary>
/// A small web application: orders are written to the leader and read from replicas; a cookie carries how far the
/// client's own writes go, so that it sees them.
/// </summary>
public static class WebShop
{
    private const string Cookie = "seen";

    public static WebApplication Build(string[] args)
    {
        var builder = WebApplication.CreateBuilder(args);
        builder.Services.AddRoutingDataSource(builder.Configuration.GetSection("Orders"));
        builder.Services.AddHealthChecks().AddRoutingDataSource();
        var app = builder.Build();
        app.MapHealthChecks("/health");
        app.MapMetrics();   // prometheus-net exports every Meter of the process, the driver's and Npgsql's too
        app.MapPost("/orders/{article}", OrderAsync);
        app.MapGet("/orders/{id:long}", FindAsync);
        app.MapGet("/topology", (RoutingDataSource source) => source.Topology);
        return app;
    }

    private static async Task<long> OrderAsync(
        string article, HttpResponse response, [FromKeyedServices(RoutingServiceKeys.Write)] RoutingDataSource write,
        CausalDataSource causal,
        CancellationToken cancellation)
    {
        var id = await write.RunAsync(
            async (transaction, token) =>
            {
                await using var insert = new NpgsqlCommand(
                    "INSERT INTO web_orders (article) VALUES ($1) RETURNING id", transaction.Connection, transaction)
                {
                    Parameters = { new() { Value = article } },
                };
                return (long)(await insert.ExecuteScalarAsync(token))!;
            },
            cancellationToken: cancellation);
        await using var connection = await write.OpenConnectionAsync(cancellation);
        response.Cookies.Append(Cookie, (await causal.ObserveAsync(connection, cancellation)).ToString());
        return id;
    }

    private static async Task<IResult> FindAsync(
        long id, HttpRequest request, HttpResponse response, CausalDataSource causal, CancellationToken cancellation)
    {
        if (CausalToken.TryParse(request.Cookies[Cookie], null, out var seen))
        {
            causal.Observe(seen);
        }
        await using var connection = await causal.OpenConnectionAsync(cancellation);
        response.Headers["X-Server"] = $"{connection.Host}:{connection.Port}";
        await using var select = new NpgsqlCommand(
            "SELECT article FROM web_orders WHERE id = $1", connection) { Parameters = { new() { Value = id } } };
        return await select.ExecuteScalarAsync(cancellation) is string article
            ? Results.Ok(article)
            : Results.NotFound();
    }
}
