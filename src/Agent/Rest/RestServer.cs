using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Agent.Events;
using Routing.Hosting.Http;
using Routing.Hosting.Logging;
using Routing.Agent.Metrics;
using Routing.Cluster;

namespace Routing.Agent.Rest;

/// <summary>The agent's REST interface: one handler, one answer per connection.</summary>
internal sealed partial class RestServer : IAsyncDisposable
{
    private static readonly TimeSpan s_keepAlive = TimeSpan.FromSeconds(10);
    private const int MaximumConnections = 1024;
    private const long MaximumBodyBytes = 1024 * 1024;   // etcd refuses a request beyond 1.5 MiB

    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly RestHandler _handler;
    private readonly ProbeMiddleware _probes;
    private readonly ServerCertificate _certificate = new();
    private RestSettings _settings;
    private HttpHost? _host;

    /// <param name="settings">The <c>restapi</c> section.</param>
    /// <param name="control">The agent.</param>
    /// <param name="events">Its diary, for <c>/events</c>.</param>
    /// <param name="metrics">Its instruments, for <c>/metrics</c>.</param>
    /// <param name="log">The log's queue, for <c>/patroni</c>.</param>
    /// <param name="time">The clock.</param>
    /// <param name="loggers">Where to log.</param>
    public RestServer(
        RestSettings settings, IAgentControl control, AgentEvents events, AgentMetrics metrics, ILogQueue log,
        TimeProvider time, ILoggerFactory loggers)
    {
        _settings = settings;
        _loggers = loggers;
        _time = time;
        _logger = loggers.CreateLogger("rest");
        _handler = new RestHandler(control, events, metrics, log, time, _logger);
        _probes = new ProbeMiddleware(control, time);
    }

    /// <summary>Binds the port and answers from now on.</summary>
    /// <exception cref="IOException">The address cannot be bound.</exception>
    /// <exception cref="InvalidOperationException">
    /// A certificate cannot be read; the message names the file.
    /// </exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _handler.UseAsync(_settings, cancellationToken);
        if (_settings.CertificateFile is not null)
        {
            _certificate.Load(_settings);
        }
        await ListenAsync(cancellationToken);
        LogListening(_settings.Scheme, _settings.Listen);
    }

    /// <summary>
    /// Takes changed settings: credentials, allowlist, headers and certificates in place; another address, another
    /// backlog or TLS switched on or off opens the listener anew. Certificates are read again whenever this is called.
    /// </summary>
    public async Task ReloadAsync(RestSettings settings, CancellationToken cancellationToken)
    {
        var listensAnew = settings.Listen != _settings.Listen
            || settings.RequestQueueSize != _settings.RequestQueueSize
            || (settings.CertificateFile is null) != (_settings.CertificateFile is null);
        if (settings.CertificateFile is not null && _certificate.Load(settings))
        {
            LogCertificate(_certificate.SerialNumber);
        }
        var before = _settings;
        _settings = settings;
        await _handler.UseAsync(settings, cancellationToken);
        if (listensAnew)
        {
            await ListenInsteadAsync(before, cancellationToken);
            LogListening(settings.Scheme, settings.Listen);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();   // what is still being answered is cut off
        await CloseAsync(now.Token);
        _handler.Dispose();
        _certificate.Dispose();
    }

    /// <summary>Opens the listener anew; when that fails the one before comes back.</summary>
    private async Task ListenInsteadAsync(RestSettings before, CancellationToken cancellationToken)
    {
        await CloseAsync(cancellationToken);
        try
        {
            await ListenAsync(cancellationToken);
        }
        catch (IOException problem)
        {
            await CloseAsync(cancellationToken);
            _settings = before;
            await _handler.UseAsync(before, cancellationToken);
            await ListenAsync(cancellationToken);
            throw new IOException($"{problem.Message}; it stays on {before.Listen}", problem);
        }
    }

    private async Task ListenAsync(CancellationToken cancellationToken)
    {
        var options = new HttpHostOptions
        {
            Name = "REST",
            Listen = _settings.Listen,
            Backlog = Math.Max(1, _settings.RequestQueueSize),
            MaximumConnections = MaximumConnections,
            MaximumBodyBytes = MaximumBodyBytes,
            KeepAlive = s_keepAlive,
            Configure = Configure,
        };
        _host = await HttpHost.StartAsync(options, _handler.HandleAsync, _loggers, cancellationToken);
    }

    private void Configure(ListenOptions listen)
    {
        listen.Use(next => connection =>
        {
            KeepAlive(connection);
            return next(connection);
        });
        if (_settings.CertificateFile is not null)
        {
            listen.UseHttps(new TlsHandshakeCallbackOptions
            {
                HandshakeTimeout = s_keepAlive,
                OnConnection = _ => ValueTask.FromResult(_certificate.Options),
            });
        }
        listen.Use(next => connection => _probes.HandleAsync(connection, next));
    }

    private async Task CloseAsync(CancellationToken cancellationToken)
    {
        if (_host is { } host)
        {
            _host = null;
            _handler.EndStreams();   // they would be waited for
            await host.StopAsync(cancellationToken);
        }
    }

    private static void KeepAlive(ConnectionContext connection)
    {
        if (connection.Features.Get<IConnectionSocketFeature>()?.Socket is { } socket)
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime,
                (int)s_keepAlive.TotalSeconds);
        }
    }

    [LoggerMessage(EventId = 4001, Level = LogLevel.Information, Message = "REST answers at {Scheme}://{Address}")]
    private partial void LogListening(string scheme, HostPort address);

    [LoggerMessage(EventId = 4002, Level = LogLevel.Information,
        Message = "REST uses a new certificate, serial number {SerialNumber}")]
    private partial void LogCertificate(string serialNumber);
}
