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
using Routing.Cluster;

namespace Routing.Proxy.Admin;

/// <summary>The admin port: Kestrel and nothing else of the web framework.</summary>
/// <param name="listen">Where.</param>
/// <param name="bind">Makes a socket that is bound and does not listen yet.</param>
/// <param name="source">What it shows.</param>
/// <param name="loggers">For what Kestrel has to say.</param>
internal sealed partial class AdminServer(
    HostPort listen, Func<EndPoint, Socket> bind, IAdminSource source, ILoggerFactory loggers) : IAsyncDisposable
{
    private static readonly TimeSpan s_keepAlive = TimeSpan.FromSeconds(15);
    private const int MaximumConnections = 256;

    private readonly ILogger _logger = loggers.CreateLogger("admin");
    private WebApplication? _host;

    /// <summary>Binds the port and answers from now on.</summary>
    /// <exception cref="IOException">The address cannot be bound.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(loggers);
        builder.WebHost.UseKestrelCore();
        builder.WebHost.UseSockets(sockets =>
        {
            sockets.IOQueueCount = 1;
            sockets.CreateBoundListenSocket = bind;
        });
        var endpoints = await EndpointsAsync(cancellationToken);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxConcurrentConnections = MaximumConnections;
            kestrel.Limits.MaxRequestBodySize = 0;
            kestrel.Limits.RequestHeadersTimeout = s_keepAlive;
            kestrel.Limits.KeepAliveTimeout = s_keepAlive;
            foreach (var endpoint in endpoints)
            {
                kestrel.Listen(endpoint, options => options.Protocols = HttpProtocols.Http1);
            }
        });
        _host = builder.Build();   // never run: its server is all that is wanted of it
        await _host.Services.GetRequiredService<IServer>().StartAsync(new Application(source), cancellationToken);
        LogListening(listen);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _host, null) is { } host)
        {
            using var now = new CancellationTokenSource();
            await now.CancelAsync();
            await host.Services.GetRequiredService<IServer>().StopAsync(now.Token);
            await host.DisposeAsync();
        }
    }

    private async ValueTask<IPEndPoint[]> EndpointsAsync(CancellationToken cancellationToken)
    {
        if (listen.Host is "*" or "::")
        {
            return [new IPEndPoint(Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any, listen.Port)];
        }
        var addresses = IPAddress.TryParse(listen.Host, out var known)
            ? [known]
            : await Dns.GetHostAddressesAsync(listen.Host, cancellationToken);
        return [.. addresses.Distinct().Select(address => new IPEndPoint(address, listen.Port))];
    }

    [LoggerMessage(
        EventId = 6301, Level = LogLevel.Information, Message = "The admin port answers at http://{Address}")]
    private partial void LogListening(HostPort address);

    private sealed class Application(IAdminSource source) : IHttpApplication<HttpContext>
    {
        public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

        public async Task ProcessRequestAsync(HttpContext context)
        {
            var (request, response) = (context.Request, context.Response);
            // Load balancers ask for a status by any of the three.
            if (request.Method is not ("GET" or "HEAD" or "OPTIONS"))
            {
                response.StatusCode = StatusCodes.Status405MethodNotAllowed;
                response.Headers.Allow = "GET, HEAD, OPTIONS";
                return;
            }
            using var body = new MemoryStream();
            response.Headers.CacheControl = "no-store";
            switch (request.Path.Value)
            {
                case "/":
                    response.ContentType = "text/html; charset=utf-8";
                    response.Headers.ContentSecurityPolicy =
                        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src "
                            + "'self'; base-uri 'none'; form-action 'none'";
                    body.Write(StatusPage.Html);
                    break;
                case "/metrics":
                    response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
                    await source.WriteMetricsAsync(body, context.RequestAborted);
                    break;
                case "/routes":
                    response.ContentType = "application/json";
                    source.WriteRoutes(body);
                    break;
                case "/healthz":
                    response.ContentType = "text/plain; charset=utf-8";
                    body.Write("alive\n"u8);
                    break;
                case "/readyz":
                    var (isReady, sentence) = source.Readiness;
                    response.StatusCode = isReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
                    response.ContentType = "text/plain; charset=utf-8";
                    body.Write(System.Text.Encoding.UTF8.GetBytes(sentence + "\n"));
                    break;
                default:
                    response.StatusCode = StatusCodes.Status404NotFound;
                    response.ContentType = "text/plain; charset=utf-8";
                    body.Write("There are /, /routes, /metrics, /healthz and /readyz.\n"u8);
                    break;
            }
            if (request.Method == "OPTIONS")
            {
                response.Headers.Allow = "GET, HEAD, OPTIONS";
                response.ContentLength = 0;
                return;
            }
            response.ContentLength = body.Length;
            if (request.Method == "GET")
            {
                body.Position = 0;
                await body.CopyToAsync(response.Body, context.RequestAborted);
            }
        }

        public void DisposeContext(HttpContext context, Exception? exception)
        {
            // A DefaultHttpContext owns nothing: Kestrel releases the features.
        }
    }
}
