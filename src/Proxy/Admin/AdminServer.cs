using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Hosting.Http;

namespace Routing.Proxy.Admin;

/// <summary>The admin port.</summary>
/// <param name="listen">The address.</param>
/// <param name="bind">Makes a socket that is bound and does not listen yet.</param>
/// <param name="source">Gives readiness, metrics and routes.</param>
/// <param name="loggers">Take Kestrel's messages.</param>
internal sealed partial class AdminServer(
    HostPort listen, Func<EndPoint, Socket> bind, IAdminSource source, ILoggerFactory loggers) : IAsyncDisposable
{
    private static readonly TimeSpan s_keepAlive = TimeSpan.FromSeconds(15);
    private const int MaximumConnections = 256;

    private readonly ILogger _logger = loggers.CreateLogger("admin");
    private HttpHost? _host;

    /// <summary>Binds the port and answers from now on.</summary>
    /// <exception cref="IOException">The address cannot be bound.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var options = new HttpHostOptions
        {
            Name = "The admin port",
            Listen = listen,
            MaximumConnections = MaximumConnections,
            MaximumBodyBytes = 0,
            KeepAlive = s_keepAlive,
            Bind = bind,
        };
        _host = await HttpHost.StartAsync(options, AnswerAsync, loggers, cancellationToken);
        LogListening(listen);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => Interlocked.Exchange(ref _host, null)?.DisposeAsync() ?? default;

    private async Task AnswerAsync(HttpContext context)
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

    [LoggerMessage(
        EventId = 6301, Level = LogLevel.Information, Message = "The admin port answers at http://{Address}")]
    private partial void LogListening(HostPort address);
}
