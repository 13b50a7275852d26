using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Dcs;
using Routing.Logging;
using Routing.Proxy.Admin;
using Routing.Proxy.Configuration;
using Routing.Proxy.Metrics;
using Routing.Proxy.Routes;
using Routing.Proxy.Sessions;
using Routing.Proxy.Transport;
using Routing.Settings;

namespace Routing.Proxy.Host;

/// <summary>One process out of its parts: topology, router, sessions, listeners, admin port; signals, reload and drain.</summary>
internal sealed partial class ProxyHost : IAdminSource, IAsyncDisposable
{
    private const int DescriptorsPerSession = 2;
    private const int DescriptorsOfOurOwn = 200;

    private readonly string? _path;
    private readonly SettingsEnvironment _environment;
    private readonly ProgramLog _log;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ILoggerFactory _loggers;
    private readonly ServiceManager _manager;
    private readonly EtcdClusterStore _store;
    private readonly TopologyWatch _watch;
    private readonly ProxyMetrics _metrics = new();
    private readonly Router _router;
    private readonly ITransport _transport;
    private readonly SessionServer _sessions;
    private readonly AdminServer? _admin;
    private readonly CalmCollector _collector;
    private readonly Dictionary<string, (ListenAddress Address, ITransportListener Listener)> _listeners = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource _stop = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _stopNow = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim _reloading = new(1, 1);
    private volatile ProxySettings _settings;
    private volatile bool _isDraining;

    private ProxyHost(string? path, SettingsEnvironment environment, ProxySettings settings, ProgramLog log, ILoggerFactory loggers, TimeProvider time)
    {
        (_path, _environment, _log, _time, _loggers) = (path, environment, log, time, loggers);
        _logger = loggers.CreateLogger("proxy");
        _settings = settings = WithinDescriptors(settings);
        _manager = new ServiceManager(_logger);
        _store = new EtcdClusterStore(settings.Etcd, settings.Namespace, settings.Scope, time, loggers);
        _watch = new TopologyWatch(_store, loggers.CreateLogger<TopologyWatch>());
        _router = new Router(settings.Listeners.Select(one => one.Route), time, new Random(), loggers.CreateLogger("routes")) { Adopted = _metrics.Routed };
        _watch.Changed += _router.Adopt;
        _transport = TransportFactory.Create(settings.Transport, settings.Loops, time, loggers.CreateLogger("transport"), out var fallback);
        if (fallback is not null)
        {
            LogFallback(fallback);
        }
        _sessions = new SessionServer(
            _transport, _router, [.. settings.Listeners.Select(one => one.Settings)], settings.Sessions, _metrics, time, loggers);
        _admin = settings.Admin is { } admin ? new AdminServer(admin, this, loggers) : null;
        _collector = CalmCollector.Start(time);
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
                return (false, "etcd has not answered yet");
            }
            var empty = table.Listeners.Values.Where(one => one.Hosts.Members.IsEmpty).Select(one => one.Route.Name).ToList();
            return empty.Count == 0 ? (true, "ready") : (false, $"nobody serves {string.Join(", ", empty)}");
        }
    }

    /// <summary>Time since the store's last sign of life; null before the first.</summary>
    private TimeSpan? TopologyAge => _store.Status.LastContact is not 0 and var contact ? _time.GetElapsedTime(contact) : null;

    /// <summary>Reads the configuration, runs until told to stop, and returns the exit code.</summary>
    public static async Task<int> RunAsync(string? path, SettingsEnvironment environment, TimeProvider time, TextWriter errors)
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
                return await host.RunAsync();
            }
            catch (Exception problem) when (problem is IOException or InvalidOperationException or ClusterStoreException)
            {
                var logger = loggers.CreateLogger("proxy");
                LogFatal(logger, problem.Message);
                return 1;
            }
        }
    }

    /// <inheritdoc/>
    public Task WriteMetricsAsync(Stream stream, CancellationToken cancellationToken) =>
        _metrics.WriteAsync(stream, _sessions.Count(), _router, TopologyAge, cancellationToken);

    /// <inheritdoc/>
    public void WriteRoutes(Stream stream) =>
        RoutesDocument.Write(stream, _settings, _router, _sessions.Count(), _transport.Name, _isDraining, TopologyAge);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_admin is not null)
        {
            await _admin.DisposeAsync();
        }
        _collector.Dispose();
        await _watch.DisposeAsync();
        await _store.DisposeAsync();
        await _sessions.DisposeAsync();
        _router.Dispose();
        await _transport.DisposeAsync();
        _reloading.Dispose();
    }

    private async Task<int> RunAsync()
    {
        LogStarting(RoutingVersion.Own, _settings.Scope, _transport.Name, _transport.Loops);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnStop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnStop);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            _ = ReloadAsync();
        });
        _watch.Start();
        if (_admin is not null)
        {
            await _admin.StartAsync(CancellationToken.None);
        }
        var given = ServiceManager.TakeSockets([.. _settings.Listeners.Select(one => one.Name)]);
        foreach (var listener in _settings.Listeners)
        {
            Listen(listener, given.GetValueOrDefault(listener.Name));
        }
        _manager.Notify("READY=1\nSTATUS=serving");
        using var stopped = new CancellationTokenSource();
        var signsOfLife = GiveSignsOfLifeAsync(stopped.Token);
        await _stop.Task;
        await DrainAsync();
        await stopped.CancelAsync();
        await signsOfLife;
        LogEnded();
        return 0;
    }

    private void Listen(ListenerConfig listener, System.Net.Sockets.Socket? given)
    {
        var name = listener.Name;
        var socket = given ?? ListenSockets.Open(listener.Address, _settings.ReusePort);
        _listeners[name] = (listener.Address, _transport.Listen(socket, connection => _sessions.Accept(name, connection)));
        var where = given is null ? listener.Address.ToString() : "a socket of the service manager";
        LogListening(name, where, listener.Route.Request.Role);
    }

    private async Task DrainAsync()
    {
        _manager.Notify("STOPPING=1\nSTATUS=draining");
        _isDraining = true;
        LogDraining(_settings.DrainTime.TotalSeconds);
        // New clients go elsewhere first: to the process that takes over, or nowhere.
        foreach (var (_, listener) in _listeners.Values)
        {
            await listener.StopAsync();
        }
        foreach (var (address, _) in _listeners.Values)
        {
            if (address.Path is { } path)
            {
                File.Delete(path);
            }
        }
        _router.Drain();
        var draining = _sessions.DrainAsync(_settings.DrainTime).AsTask();
        await Task.WhenAny(draining, _stopNow.Task);
        if (!draining.IsCompleted)
        {
            LogCutShort();
            await _sessions.DrainAsync(TimeSpan.Zero);
        }
    }

    private void OnStop(PosixSignalContext context)
    {
        context.Cancel = true;
        if (!_stop.TrySetResult())
        {
            _stopNow.TrySetResult();   // told twice: at once
        }
    }

    private async Task GiveSignsOfLifeAsync(CancellationToken cancellationToken)
    {
        if (_manager.WatchdogInterval is not { } interval)
        {
            return;
        }
        using var timer = new PeriodicTimer(interval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                _manager.Notify("WATCHDOG=1");
            }
        }
        catch (OperationCanceledException)
        {
            // about to end
        }
    }

    private async Task ReloadAsync()
    {
        await _reloading.WaitAsync();
        try
        {
            _manager.Notify("RELOADING=1");
            var result = ProxySettingsReader.Load(_path, _environment);
            foreach (var warning in result.Warnings)
            {
                LogSettings(warning.ToString());
            }
            if (result.Settings is not { } next || _isDraining)
            {
                foreach (var error in result.Errors)
                {
                    LogSettings(error.ToString());
                }
                LogNotReloaded("it has errors");
                return;
            }
            next = WithinDescriptors(next);
            _sessions.Reload([.. next.Listeners.Select(one => one.Settings)], next.Sessions);   // first what may be refused
            await ListenAnewAsync(next);
            foreach (var name in FixedThatDiffer(_settings, next))
            {
                LogNeedsRestart(name);
            }
            _settings = next with
            {
                Scope = _settings.Scope, Namespace = _settings.Namespace, Etcd = _settings.Etcd, Admin = _settings.Admin,
                Transport = _settings.Transport, Loops = _settings.Loops, ReusePort = _settings.ReusePort,
            };
            _router.Reload(next.Listeners.Select(one => one.Route));
            _log.Reload(next.Log);
            LogReloaded();
        }
        catch (Exception problem) when (problem is IOException or InvalidOperationException)
        {
            LogNotReloaded(problem.Message);
        }
        finally
        {
            _manager.Notify("READY=1");
            _reloading.Release();
        }
    }

    // New addresses are opened before old ones are closed; sessions of a listener that goes live on.
    private async Task ListenAnewAsync(ProxySettings next)
    {
        foreach (var listener in next.Listeners)
        {
            if (_listeners.TryGetValue(listener.Name, out var known) && known.Address == listener.Address)
            {
                continue;
            }
            Listen(listener, null);
            if (known.Listener is not null)
            {
                await known.Listener.StopAsync();
            }
        }
        foreach (var gone in _listeners.Keys.Except(next.Listeners.Select(one => one.Name)).ToList())
        {
            await _listeners[gone].Listener.StopAsync();
            _listeners.Remove(gone);
        }
    }

    private static IEnumerable<string> FixedThatDiffer(ProxySettings before, ProxySettings next)
    {
        if (before.Scope != next.Scope)
        {
            yield return "scope";
        }
        if (before.Namespace != next.Namespace)
        {
            yield return "namespace";
        }
        if (!before.Etcd.Endpoints.SequenceEqual(next.Etcd.Endpoints))
        {
            yield return "etcd3";
        }
        if (before.Admin != next.Admin)
        {
            yield return "admin.listen";
        }
        if (before.Transport != next.Transport || before.Loops != next.Loops)
        {
            yield return "transport, loops";
        }
    }

    // A session needs two descriptors: better a refusal in words than an accept that fails.
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

    [LoggerMessage(EventId = 6401, Level = LogLevel.Information, Message = "routing-proxy {Version}: cluster {Scope}, transport {Transport} with {Loops} loops")]
    private partial void LogStarting(string version, string scope, string transport, int loops);

    [LoggerMessage(EventId = 6402, Level = LogLevel.Information, Message = "The listener {Name} accepts at {Address} for {Role}")]
    private partial void LogListening(string name, string address, WantedRole role);

    [LoggerMessage(EventId = 6403, Level = LogLevel.Warning, Message = "{Problem}")]
    private partial void LogSettings(string problem);

    [LoggerMessage(EventId = 6404, Level = LogLevel.Critical, Message = "{Problem}")]
    private static partial void LogFatal(ILogger logger, string problem);

    [LoggerMessage(EventId = 6405, Level = LogLevel.Information, Message = "Draining: no new sessions; those that run have {Seconds} s to come to rest")]
    private partial void LogDraining(double seconds);

    [LoggerMessage(EventId = 6406, Level = LogLevel.Warning, Message = "Told to stop again: the sessions that are left are cut")]
    private partial void LogCutShort();

    [LoggerMessage(EventId = 6407, Level = LogLevel.Information, Message = "Ended")]
    private partial void LogEnded();

    [LoggerMessage(EventId = 6408, Level = LogLevel.Warning, Message = "Transport: {Reason}")]
    private partial void LogFallback(string reason);

    [LoggerMessage(EventId = 6409, Level = LogLevel.Warning,
        Message = "limits.max_sessions is {Wanted}, but the process may open {Limit} files: at most {Most} sessions; raise the limit (LimitNOFILE=, ulimit -n)")]
    private partial void LogDescriptors(int wanted, long limit, int most);

    [LoggerMessage(EventId = 6411, Level = LogLevel.Error, Message = "The configuration was not reloaded, the old one stays in force: {Problem}")]
    private partial void LogNotReloaded(string problem);

    [LoggerMessage(EventId = 6412, Level = LogLevel.Information, Message = "The configuration was reloaded")]
    private partial void LogReloaded();

    [LoggerMessage(EventId = 6413, Level = LogLevel.Warning, Message = "{Name} has changed and takes effect only when the proxy starts again")]
    private partial void LogNeedsRestart(string name);
}
