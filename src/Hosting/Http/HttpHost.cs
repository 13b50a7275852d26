using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Routing.Hosting.Http;

/// <summary>A small HTTP/1.1 server: Kestrel and nothing else of the web framework, one address, one handler.</summary>
internal sealed class HttpHost : IAsyncDisposable
{
    private readonly WebApplication _application;   // never run: only its server is used

    private HttpHost(WebApplication application)
    {
        _application = application;
    }

    private IServer Server => _application.Services.GetRequiredService<IServer>();

    /// <summary>Binds the address and answers from now on.</summary>
    /// <param name="options">Where and how.</param>
    /// <param name="handler">Answers one request.</param>
    /// <param name="loggers">For what Kestrel has to say.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="IOException">The address cannot be bound.</exception>
    public static async Task<HttpHost> StartAsync(
        HttpHostOptions options, RequestDelegate handler, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var endpoints = await EndpointsAsync(options, cancellationToken);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(loggers);
        builder.WebHost.UseKestrelCore();
        builder.WebHost.UseSockets(sockets =>
        {
            sockets.IOQueueCount = 1;
            sockets.Backlog = options.Backlog ?? sockets.Backlog;
            sockets.CreateBoundListenSocket = options.Bind ?? sockets.CreateBoundListenSocket;
        });
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxConcurrentConnections = options.MaximumConnections;
            kestrel.Limits.MaxRequestBodySize = options.MaximumBodyBytes;
            kestrel.Limits.RequestHeadersTimeout = options.KeepAlive;
            kestrel.Limits.KeepAliveTimeout = options.KeepAlive;
            foreach (var endpoint in endpoints)
            {
                kestrel.Listen(endpoint, listen =>
                {
                    listen.Protocols = HttpProtocols.Http1;
                    options.Configure?.Invoke(listen);
                });
            }
        });
        var host = new HttpHost(builder.Build());
        try
        {
            await host.Server.StartAsync(new Application(handler), cancellationToken);
            return host;
        }
        catch (Exception problem)
        {
            await host.DisposeAsync();
            if (problem is SocketException refusal)
            {
                throw CannotListen(options, refusal);
            }
            throw;
        }
    }

    /// <summary>Ends: the port is free afterwards.</summary>
    /// <param name="cancellationToken">Cancelled: requests that are still being answered are cut off.</param>
    public async ValueTask StopAsync(CancellationToken cancellationToken)
    {
        await Server.StopAsync(cancellationToken);
        await _application.DisposeAsync();
    }

    /// <summary>Ends at once: requests that are still being answered are cut off.</summary>
    public ValueTask DisposeAsync() => StopAsync(new CancellationToken(canceled: true));

    private static async ValueTask<IPEndPoint[]> EndpointsAsync(
        HttpHostOptions options, CancellationToken cancellationToken)
    {
        var (host, port) = options.Listen;
        if (host is "*" or "::")
        {
            return [new IPEndPoint(Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any, port)];
        }
        try
        {
            var addresses = IPAddress.TryParse(host, out var known)
                ? [known]
                : await Dns.GetHostAddressesAsync(host, cancellationToken);
            return [.. addresses.Distinct().Select(address => new IPEndPoint(address, port))];
        }
        catch (SocketException problem)
        {
            throw CannotListen(options, problem);
        }
    }

    private static IOException CannotListen(HttpHostOptions options, SocketException problem) =>
        new($"{options.Name} cannot listen on {options.Listen}: {problem.Message}", problem);

    /// <summary>The smallest thing that Kestrel can call.</summary>
    private sealed class Application(RequestDelegate handler) : IHttpApplication<HttpContext>
    {
        public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

        public Task ProcessRequestAsync(HttpContext context) => handler(context);

        public void DisposeContext(HttpContext context, Exception? exception)
        {
            // A DefaultHttpContext has nothing to dispose of: Kestrel releases the features.
        }
    }
}
