using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Hosting.Logging;
using Routing.Hosting.Service;
using Routing.Proxy.Admin;
using Routing.Proxy.Configuration;
using Routing.Proxy.Metrics;
using Routing.Proxy.Routes;
using Routing.Proxy.Sessions;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;
using Routing.Settings;

namespace Routing.Proxy.Host;

/// <summary>
/// Puts the process together (topology, router, sessions, listeners, admin port), and obeys signals: reload, drain.
/// </summary>
internal sealed partial class ProxyHost : IAdminSource, IAsyncDisposable
{
    private const int SigUsr2 = 12;
    private const int DescriptorsPerSession = 2;
    private const int DescriptorsOfOurOwn = 200;
    private static readonly TimeSpan s_settle = TimeSpan.FromSeconds(2);

    private readonly string? _path;
    private readonly SettingsEnvironment _environment;
    private readonly ProgramLog _log;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ILoggerFactory _loggers;
    private readonly ServiceNotifier _service;
    private readonly ProxyTopology _source;
    private readonly TopologyWatch _watch;
    private readonly ProxyMetrics _metrics = new();
    private readonly Router _router;
    private readonly ITransport _transport;
    private readonly SessionServer _sessions;
    private readonly AdminServer? _admin;
    private readonly CalmCollector _collector;
    private readonly ListenerSet _listeners;
    private readonly MemberProbe _probe;
    private readonly RouterRegistration? _registration;
    private readonly TakenSockets _taken = new();
    private readonly HostTakeover? _takeover;
    private readonly Successor _successor;
    private readonly TaskCompletionSource _stop = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _stopNow = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim _reloading = new(1, 1);
    private volatile ProxySettings _settings;
    private volatile bool _isDraining;
    private volatile bool _isReplaced;   // another process is the service's main process

    private ProxyHost(string? path, SettingsEnvironment environment, ProxySettings settings, ProgramLog log,
        ILoggerFactory loggers, TimeProvider time)
    {
        (_path, _environment, _log, _time, _loggers) = (path, environment, log, time, loggers);
        _logger = loggers.CreateLogger("proxy");
        _settings = settings = WithinDescriptors(settings);
        _service = ServiceNotifier.TakeFromProcess(time, _logger);
        _source = new ProxyTopology(settings, time, loggers);
        _watch = new TopologyWatch(_source.Views, loggers.CreateLogger<TopologyWatch>());
        _router = new Router(settings.Listeners, time, new Random(), loggers.CreateLogger("routes"))
        {
            Adopted = _metrics.Routed,
            Source = _source.Name,
        };
        _watch.Changed += _router.Adopt;
        _transport = TransportFactory.Create(
            settings.Transport, settings.Loops, settings.Favor, time, loggers.CreateLogger("transport"),
            out var fallback);
        if (fallback is not null)
        {
            LogFallback(fallback);
        }
        _sessions = new SessionServer(
            _transport, _router, settings.Listeners, settings.Sessions, _metrics, time, loggers);
        _collector = CalmCollector.Start(time);
        _listeners = new ListenerSet(_transport, _sessions, _logger);
        _probe = new MemberProbe(
            _router, _transport, time, () => _settings.Sessions,
            () => _settings.Listeners.Select(one => one.ProxyProtocolToMember)
                .FirstOrDefault(one => one != ProxyProtocolVersion.None));
        _registration = _source.Store is not { } store ? null : new RouterRegistration(
            store, $"{Environment.MachineName}-{Environment.ProcessId}", _router, _sessions.RestlessAt, time,
            _logger);
        _admin = settings.Admin is { } admin ? new AdminServer(
            admin, endpoint => _taken.ForAdmin(endpoint, settings.ReusePort), this, loggers) : null;
        _successor = new Successor(path, environment, _service, _logger);
        _takeover = settings.TakeOver is null ? null : new HostTakeover(this);
    }

    /// <inheritdoc/>
    public (bool IsReady, string Sentence) Readiness
    {
        get
        {
            if (_isDraining)
            {
                return (false, "draining");
            }
            var table = _router.Table;
            if (table.View.Snapshot.Revision == 0)
            {
                return (false, _source.Views.Problem is { } problem
                    ? $"{_source.Name} has not answered yet ({problem})"
                    : $"{_source.Name} has not answered yet");
            }
            var empty = table.Listeners.Values.Where(one => table.UsableOf(one) == 0).Select(one => one.Config.Name)
                .Order(StringComparer.Ordinal).ToList();
            return empty.Count == 0 ? (true, "ready") : (false, $"nobody serves {string.Join(", ", empty)}");
        }
    }

    /// <summary>Time since the source's last sign of life; null before the first.</summary>
    private TimeSpan? TopologyAge =>
        _source.LastContact is not 0 and var contact ? _time.GetElapsedTime(contact) : null;

    /// <summary>Reads the configuration, runs until told to stop, and returns the exit code.</summary>
    public static async Task<int> RunAsync(
        string? path, bool takesOver, SettingsEnvironment environment, TimeProvider time, TextWriter errors)
    {
        var result = ProxySettingsReader.Load(path, environment);
        foreach (var error in result.Errors)
        {
            await errors.WriteLineAsync(error.ToString());
        }
        if (result.Settings is not { } settings)
        {
            return 1;
        }
        ProgramLog log;
        try
        {
            log = new ProgramLog(settings.Log, time, errors);
        }
        catch (IOException problem)
        {
            await errors.WriteLineAsync($"{path}: log: {problem.Message}");
            return 1;
        }
        await using (log)
        using (var loggers = log.CreateFactory())
        {
            try
            {
                await using var host = new ProxyHost(path, environment, settings, log, loggers, time);
                foreach (var warning in result.Warnings)
                {
                    host.LogSettings(warning.ToString());
                }
                return await host.RunAsync(takesOver);
            }
            catch (Exception problem) when (problem is IOException or InvalidOperationException
                or ClusterStoreException)
            {
                var logger = loggers.CreateLogger("proxy");
                LogFatal(logger, problem.Message);
                return 1;
            }
        }
    }

    /// <inheritdoc/>
    public Task WriteMetricsAsync(Stream stream, CancellationToken cancellationToken) =>
        _metrics.WriteAsync(stream, _sessions.Count(), _router, TopologyAge, _registration?.IsRegistered == true,
            cancellationToken);

    /// <inheritdoc/>
    public void WriteRoutes(Stream stream) =>
        RoutesDocument.Write(stream, _settings, _listeners.Where, _router, _sessions.Count(), _transport.Name,
            _isDraining, TopologyAge);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_admin is not null)
        {
            await _admin.DisposeAsync();
        }
        _takeover?.Dispose();
        _collector.Dispose();
        await _probe.DisposeAsync();
        _registration?.Dispose();
        await _watch.DisposeAsync();
        await _source.DisposeAsync();
        await _sessions.DisposeAsync();
        _router.Dispose();
        await _transport.DisposeAsync();
        _reloading.Dispose();
        _metrics.Dispose();
    }

    private async Task<int> RunAsync(bool takesOver)
    {
        LogStarting(RoutingVersion.Own, _settings.Scope, _transport.Name, _transport.Loops);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnStop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnStop);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            _ = ReloadAsync();
        });
        using var again = PosixSignalRegistration.Create((PosixSignal)SigUsr2, context =>
        {
            context.Cancel = true;
            BeginUpgrade();
        });
        _watch.Start();
        using var taker = takesOver ? await ConnectAsync() : null;
        if (_admin is not null)
        {
            await _admin.StartAsync(CancellationToken.None);
        }
        var given = GivenSockets.Take([.. _settings.Listeners.Select(one => one.Name)], _logger);
        var sockets = _taken.For(_settings.Listeners, given);
        await _listeners.AdoptAsync(_settings.Listeners,
            _listeners.Open(_settings.Listeners, _settings.ReusePort, sockets.All), sockets.Given);
        _taken.CloseUnused();
        if (taker is not null && !await TakeSessionsAsync(taker))
        {
            _isReplaced = true;   // the old one still is
            await DrainAsync();
            return 1;
        }
        using var stopped = new CancellationTokenSource();
        var givingOver = _takeover?.RunAsync(stopped.Token) ?? Task.CompletedTask;
        _service.Ready("serving");
        var signsOfLife = _service.GiveSignsOfLifeAsync(stopped.Token);
        var registering = _registration?.RunAsync(stopped.Token) ?? Task.CompletedTask;
        await _stop.Task;
        if (_takeover is not null)
        {
            await _takeover.EndAsync();
        }
        await DrainAsync();
        await stopped.CancelAsync();
        await givingOver;
        await signsOfLife;
        await registering;
        LogEnded();
        return 0;
    }

    private async Task DrainAsync()
    {
        _isDraining = true;   // a reload that begins from now on is refused
        if (await _reloading.WaitAsync(s_settle))
        {
            _reloading.Release();   // one that was under way has ended
        }
        if (!_isReplaced)
        {
            _service.Stopping("draining");
        }
        LogDraining(_settings.DrainTime.TotalSeconds);
        if ((_settings.ReusePort || _isReplaced) && _admin is not null)
        {
            await _admin.DisposeAsync();   // from now on the process that takes over answers
        }
        // New clients go elsewhere first: to the process that takes over, or nowhere. The ones that were in the queue
        // are let in; where there is no descriptor left for them, they wait until sessions have ended.
        var stopping = _listeners.StopAsync().AsTask();
        await Task.WhenAny(stopping, Task.Delay(s_settle, _time));
        await _sessions.SettleAsync(s_settle);
        var isQueueEmpty = stopping.IsCompleted;
        _router.Drain();
        var draining = _sessions.DrainAsync(_settings.DrainTime).AsTask();
        await Task.WhenAny(draining, _stopNow.Task);
        if (!draining.IsCompleted)
        {
            LogCutShort();
            await _sessions.DrainAsync(TimeSpan.Zero);
        }
        await stopping;
        if (!isQueueEmpty)
        {
            // The clients that were let in last are told in words to connect elsewhere.
            await _sessions.SettleAsync(s_settle);
        }
    }

    private void OnStop(PosixSignalContext context)
    {
        context.Cancel = true;
        if (!_stop.TrySetResult())
        {
            _stopNow.TrySetResult();   // a second signal cuts the drain short
        }
    }

    // A session needs two descriptors. Above the limit a client is refused in words, before an accept fails.
    private ProxySettings WithinDescriptors(ProxySettings settings)
    {
        var limit = DescriptorLimit.Raise();
        var most = (int)Math.Max(1, (limit - DescriptorsOfOurOwn) / DescriptorsPerSession);
        var sessions = settings.Sessions;
        if (sessions.MaximumSessions > most)
        {
            LogDescriptors(sessions.MaximumSessions, limit, most);
        }
        return settings with
        {
            Sessions = sessions with
            {
                MaximumSessions = sessions.MaximumSessions == 0 ? most : Math.Min(sessions.MaximumSessions, most),
                MaximumPending = Math.Min(sessions.MaximumPending, most),
            },
        };
    }

    [LoggerMessage(EventId = 6401, Level = LogLevel.Information,
        Message = "routing-proxy {Version}: cluster {Scope}, transport {Transport} with {Loops} loops")]
    private partial void LogStarting(string version, string scope, string transport, int loops);

    [LoggerMessage(EventId = 6403, Level = LogLevel.Warning, Message = "{Problem}")]
    private partial void LogSettings(string problem);

    [LoggerMessage(EventId = 6404, Level = LogLevel.Critical, Message = "{Problem}")]
    private static partial void LogFatal(ILogger logger, string problem);

    [LoggerMessage(EventId = 6405, Level = LogLevel.Information,
        Message = "Draining: no new sessions are accepted; open ones have {Seconds} s to end their transactions")]
    private partial void LogDraining(double seconds);

    [LoggerMessage(EventId = 6406, Level = LogLevel.Warning,
        Message = "Got a second signal to stop: the sessions that are left are cut")]
    private partial void LogCutShort();

    [LoggerMessage(EventId = 6407, Level = LogLevel.Information, Message = "routing-proxy has ended")]
    private partial void LogEnded();

    [LoggerMessage(EventId = 6408, Level = LogLevel.Warning, Message = "Transport: {Reason}")]
    private partial void LogFallback(string reason);

    [LoggerMessage(EventId = 6409, Level = LogLevel.Warning,
        Message = "limits.max_sessions is {Wanted}, but the process may open {Limit} files: at most {Most} sessions; "
            + "raise the limit (LimitNOFILE=, ulimit -n)")]
    private partial void LogDescriptors(int wanted, long limit, int most);
}
