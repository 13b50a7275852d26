using System.Collections.Immutable;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Routing.Agent.Backups;
using Routing.Agent.Config;
using Routing.Agent.Events;
using Routing.Agent.Fence;
using Routing.Agent.Loop;
using Routing.Agent.Metrics;
using Routing.Agent.Native;
using Routing.Agent.Postgres;
using Routing.Agent.Postgres.Verbs;
using Routing.Agent.Rest;
using Routing.Agent.Status;
using Routing.Agent.Watchdog;
using Routing.Cluster;
using Routing.Cluster.Events;
using Routing.Cluster.Keys;
using Routing.Dcs;
using Routing.Dcs.Etcd;
using Routing.Hosting.Logging;
using Routing.Hosting.Service;
using Routing.Settings;

namespace Routing.Agent;

/// <summary>One agent: puts the parts together, runs them, and takes signals.</summary>
internal sealed partial class AgentHost : IAgentControl, IAsyncDisposable
{
    private static readonly TimeSpan s_livenessLimit = TimeSpan.FromSeconds(3);

    /// <summary>What does not end with the loop must not keep the process.</summary>
    private static readonly TimeSpan s_patienceAtExit = TimeSpan.FromSeconds(5);

    /// <summary>A disk that hangs must not keep the process either.</summary>
    private static readonly TimeSpan s_patienceWithEvents = TimeSpan.FromSeconds(1);

    /// <summary>A start, a clone of a small database included, is over after this.</summary>
    private static readonly TimeSpan s_settled = TimeSpan.FromSeconds(20);

    /// <summary>A watchdog's driver answers within microseconds; one that takes this long hangs.</summary>
    private static readonly TimeSpan s_deviceLimit = TimeSpan.FromMilliseconds(500);

    private readonly string? _path;
    private readonly SettingsEnvironment _environment;
    private readonly TimeProvider _time;
    private readonly ProgramLog _log;
    private readonly ILogger _logger;
    private readonly ServiceNotifier _service;
    private readonly StatusBoard _board;
    private readonly LocalPostgresServer _postgres;
    private readonly PeerClient _peers;
    private readonly EtcdClusterStore _store;
    private readonly TopologyWatch _watch;
    private readonly LeaseKeeper _keeper;
    private readonly FenceClient _fence;
    private readonly PrimaryGuard _guard;
    private readonly AgentLoop _loop;
    private readonly FailsafeConsents _consents;
    private readonly MembersFile _members;
    private readonly StoreFile _storeFile;
    private readonly EventFile _eventFile;
    private readonly AgentEvents _events;
    private readonly RestServer _rest;
    private readonly AgentMetrics _metrics;
    private readonly BackupReader _backups;
    private AgentSettings _settings;
    private bool _nameIsOurs;
    private readonly long _startedAt;
    private bool _isSettled;
    private int _reloads;
    private long _reconnects;

    private AgentHost(string? path, SettingsEnvironment environment, AgentSettings settings, ProgramLog log,
        ILoggerFactory loggers, TimeProvider time)
    {
        (_path, _environment, _settings, _log, _time) = (path, environment, settings, log, time);
        _logger = loggers.CreateLogger("agent");
        _service = ServiceNotifier.TakeFromProcess(time, _logger);   // ahead of every child
        _startedAt = time.GetTimestamp();
        var member = LocalMemberOf(settings);
        var initial = DynamicConfigReader.Read(member.InitialConfig, 0);
        _board = new StatusBoard(
            new AgentStatus { Scope = settings.Scope, Name = settings.Name, Config = initial, Tags = member.Tags });
        _eventFile = new EventFile(EventFile.PathFor(settings.Postgres.DataDirectory), _logger);
        var events = new AgentEvents(time, member: settings.Name, file: _eventFile);
        events.Recall();
        _events = events;
        events.Append(EventKind.Agent, "agent_started", $"the agent {RoutingVersion.Own} has begun", default, 0,
            EventFigures.Of("version", RoutingVersion.Own));
        _metrics = new AgentMetrics(settings.Scope, settings.Name);
        var signal = new LoopSignal(time);
        _store = new EtcdClusterStore(settings.Etcd, settings.Namespace, settings.Scope, time, loggers);
        _storeFile = new StoreFile(settings.Postgres.DataDirectory);
        _store.Recall(_storeFile.Recall());
        _watch = new TopologyWatch(_store, loggers.CreateLogger<TopologyWatch>());
        _peers = new PeerClient(settings.Ctl, time) { OwnId = Id };
        _postgres =
            new LocalPostgresServer(settings, initial, time, signal.Wake, loggers.CreateLogger<LocalPostgresServer>());
        var fenceDirectory = FenceDirectory.For(settings.Postgres.DataDirectory, null);
        if (FenceSweep.BesideOf(fenceDirectory, time.GetUtcNow()) is > 0 and var swept)
        {
            LogSwept(swept);
        }
        _fence = new FenceClient(FenceSettings.ForThisProgram(fenceDirectory), time, signal.Wake);
        var watchdog = new DeviceWatchdog(
            settings.Watchdog, BoundedWatchdogDevice.Opener(
                settings.Watchdog.IsPipe
                    ? static path => new PipeWatchdogDevice(path)
                    : static path => new LinuxWatchdogDevice(path),
                s_deviceLimit), time, LogWatchdog);
        _guard = new PrimaryGuard(_fence, watchdog, () => _board.Current.Timing, time,
            loggers.CreateLogger<PrimaryGuard>());
        var pulse = new LoopPulse(time);
        _keeper = new LeaseKeeper(_store, settings.Name, new LeaseListener(_guard, _board, signal, pulse), time,
            loggers.CreateLogger<LeaseKeeper>());
        var consentFile = new ConsentFile(settings.Postgres.DataDirectory, time);
        var earlierConsent = consentFile.Recall();
        _consents = new FailsafeConsents(_board, earlierConsent, consentFile.Keep, time);
        _members = new MembersFile(settings.Postgres.DataDirectory, settings.Scope, _logger);
        var earlierMembers = _members.Recall();
        // What REST judges by before the loop has run.
        _board.Update(status => status with
        {
            LastLeader = earlierMembers.Leader,
            LongestTtl = initial.Timing.Corrected(Timing.CommonMinimum).Ttl,
        });
        _loop = new AgentLoop(
            member, _store, _watch, _postgres, _peers, _guard, _keeper, _board, _consents, events, signal, pulse,
            new LoopStart(earlierMembers, () => Volatile.Read(ref _nameIsOurs)), time, loggers)
        {
            RunEnded = OnRunEnded,
            KeepMembers = _members.Keep,
        };
        _backups = new BackupReader(
            () => Volatile.Read(ref _settings).PgBackRest,
            token => _postgres.TextAsync(BackupReader.ArchiverQuery, token), time);
        _rest = new RestServer(settings.Rest, this, events, _metrics, log, time, loggers);
    }

    /// <inheritdoc/>
    public string Id { get; } = Guid.NewGuid().ToString("N");

    /// <inheritdoc/>
    public AgentStatus Status =>
        _board.Current is var status && _loop.Job is { } job ? status with { Job = job } : status;

    /// <inheritdoc/>
    public IClusterStore Store => _store;

    /// <inheritdoc/>
    public IPeers Peers => _peers;

    /// <inheritdoc/>
    public OrderDesk Orders => _loop.Orders;

    /// <summary>Reads the configuration, runs until told to stop, and returns the exit code.</summary>
    public static async Task<int> RunAsync(
        string? path, SettingsEnvironment environment, TimeProvider time, TextWriter errors)
    {
        var result = AgentSettingsReader.Load(path, environment);
        foreach (var error in result.Errors)
        {
            await errors.WriteLineAsync(error.ToString());
        }
        if (result.Settings is not { } settings)
        {
            return 1;
        }
        try
        {
            settings.Etcd.CheckCertificates();
        }
        catch (ClusterStoreException problem)
        {
            await errors.WriteLineAsync($"{settings.Source}: etcd3: {problem.Message}");
            return 1;
        }
        ProgramLog log;
        try
        {
            log = new ProgramLog(settings.Log, time, errors);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            await errors.WriteLineAsync($"{settings.Source}: log.dir: '{settings.Log.Directory}': {problem.Message}");
            return 1;
        }
        await using (log)
        using (var loggers = log.CreateFactory())
        {
            var logger = loggers.CreateLogger("agent");
            try
            {
                await using var host = new AgentHost(path, environment, settings, log, loggers, time);
                foreach (var warning in result.Warnings)
                {
                    host.LogSettings(warning.ToString());
                }
                foreach (var error in result.BootstrapErrors)
                {
                    host.LogSettings($"{error}; until this is mended, this member makes no new cluster");
                }
                return await host.RunAsync();
            }
            catch (Exception problem) when (IsOfEnvironment(problem) || problem is ClusterStoreException)
            {
                LogFatal(logger, problem.Message);
                return 1;
            }
        }
    }

    /// <summary>
    /// Files that cannot be read or used, addresses that cannot be bound: nothing that the agent has done wrong.
    /// </summary>
    private static bool IsOfEnvironment(Exception problem) =>
        problem is IOException or UnauthorizedAccessException or SocketException or InvalidOperationException;

    /// <inheritdoc/>
    public void WakeLoop() => _loop.Signal.Wake();

    /// <inheritdoc/>
    public FailsafeAnswer ReceiveFailsafe(FailsafeMessage message)
    {
        var answer = _consents.Receive(message);
        if (answer.Verdict == FailsafeVerdict.NotKept)
        {
            LogConsentNotKept(message.Name, answer.Problem ?? "");
        }
        else if (answer.Verdict is FailsafeVerdict.NotTheLeader or FailsafeVerdict.TooLong)
        {
            LogNoConsent(message.Name, answer.Problem ?? "");
        }
        return answer;
    }

    /// <inheritdoc/>
    public void RequestReload() => _ = ReloadAsync();

    /// <inheritdoc/>
    public async ValueTask<ImmutableArray<string>> RefusalsAsync(
        DynamicConfig present, DynamicConfig next, CancellationToken cancellationToken) =>
        await _postgres.RefusalsAsync(present, next, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyDictionary<string, ParameterDefinition>?> CatalogueAsync(
        CancellationToken cancellationToken) => await _postgres.CatalogueAsync(cancellationToken);

    /// <inheritdoc/>
    public Task<ImmutableArray<RemoteServer>> AskRemoteAsync(
        ImmutableArray<HostPort> hosts, CancellationToken cancellationToken) =>
        _postgres.AskRemoteAsync(hosts, cancellationToken);

    /// <inheritdoc/>
    public Task<BackupReport> BackupsAsync(CancellationToken cancellationToken) =>
        _backups.ReadAsync(cancellationToken);

    /// <inheritdoc/>
    public BackupReport? RecallBackups() => _backups.Recall();

    private async Task<int> RunAsync()
    {
        LogStarting(RoutingVersion.Own, RoutingVersion.Compatible, _settings.Scope, _settings.Name);
        TellConflicts(_board.Current.Tags);
        using var stop = new CancellationTokenSource();
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnStop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnStop);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            RequestReload();
        });
        _watch.Start();
        // Members ask this REST for their consent while the DCS is away: it answers before the DCS does, by what
        // PostgreSQL is here.
        var seen = await _postgres.ObserveAsync(stop.Token);
        _board.Update(status => status with { Postgres = seen, ObservedAt = _time.GetTimestamp() });
        await _rest.StartAsync(stop.Token);
        await _guard.TendAsync(stop.Token);
        var guarding = _guard.RunAsync(stop.Token);
        var naming = NameIsTakenAsync(stop.Token);
        var looping = _loop.RunAsync(stop.Token);
        // REST answers: the agent works, also while it waits for the DCS.
        _service.Ready();
        var signsOfLife = _service.GiveSignsOfLifeAsync(stop.Token);
        try
        {
            var code = await BackgroundTasks.UntilOneEndsAsync(looping, naming, [guarding, _watch.Broken], LogBroke);
            LogEnded(code);
            if (!_board.Current.Postgres.HasProcess)
            {
                _fence.Dismiss();
            }
            return code;
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAny(Task.WhenAll(looping, guarding, naming, signsOfLife),
                Task.Delay(s_patienceAtExit, _time, CancellationToken.None));
        }
    }

    private void OnRunEnded(TimeSpan duration, string code)
    {
        KeepStoreMark();
        _metrics.LoopRan(duration, code);
        _store.WatchPace.Interval = WatchPace.For(_board.Current.Timing.Ttl);
        if (!_isSettled && _time.GetElapsedTime(_startedAt) >= s_settled)
        {
            // The start needed code and memory that the hours after it do not.
            _isSettled = true;
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            _ = ProgramPages.Forget();
        }
        for (var seen = _store.Status.WatchReconnects; _reconnects < seen; _reconnects++)
        {
            _metrics.DcsReconnected();
        }
    }

    private void KeepStoreMark()
    {
        try
        {
            _storeFile.Keep(_store.Mark);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            LogStoreMarkNotKept(problem.Message);   // only a process that starts after etcd was restored needs the mark
        }
    }

    private void OnStop(PosixSignalContext context)
    {
        context.Cancel = true;
        LogSignal(context.Signal);
        _service.Stopping("stopping PostgreSQL");
        _loop.RequestShutdown();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _rest.DisposeAsync();
        await _backups.DisposeAsync();
        await _watch.DisposeAsync();
        await _store.DisposeAsync();
        await _postgres.DisposeAsync();
        _peers.Dispose();
        _fence.Dispose();
        _keeper.Dispose();
        _loop.Dispose();
        await Task.WhenAny(_eventFile.Written, Task.Delay(s_patienceWithEvents, _time, CancellationToken.None));
    }

    /// <summary>
    /// Waits for the DCS's first answer, then asks whether an agent of our name answers where the member key says.
    /// </summary>
    private async Task<bool> NameIsTakenAsync(CancellationToken cancellationToken)
    {
        var view = _watch.Current;
        while (view.Snapshot.Revision == 0)
        {
            view = await _watch.WaitForNewerAsync(view, cancellationToken);
            if (!view.IsLive && view.Snapshot.Revision == 0)
            {
                LogNoDcs();
            }
        }
        if (view.Snapshot.Members.GetValueOrDefault(_settings.Name)?.ApiUrl is { } apiUrl
            && await _peers.LivenessAsync(apiUrl, s_livenessLimit, cancellationToken))
        {
            LogNameTaken(_settings.Name, apiUrl);
            return true;
        }
        Volatile.Write(ref _nameIsOurs, true);
        WakeLoop();
        return false;
    }

    private async Task ReloadAsync()
    {
        if (Interlocked.Increment(ref _reloads) > 1)
        {
            return;   // a reload runs already, and begins anew when it is done
        }
        int seen;
        do
        {
            seen = Volatile.Read(ref _reloads);
            _service.Reloading();
            await ReloadOnceAsync();
            _service.Ready();
        }
        while (Interlocked.CompareExchange(ref _reloads, 0, seen) != seen);
    }

    private async Task ReloadOnceAsync()
    {
        try
        {
            var result = AgentSettingsReader.Load(_path, _environment);
            foreach (var warning in result.Warnings)
            {
                LogSettings(warning.ToString());
            }
            if (result.Settings is not { } next)
            {
                foreach (var error in result.Errors)
                {
                    LogSettings(error.ToString());
                }
                LogNotReloaded();
                return;
            }
            var change = SettingsChange.Between(_settings, next);
            foreach (var path in change.NeedProcessRestart)
            {
                LogNeedsRestart(path);
            }
            _store.Use(change.Effective.Etcd);   // first: a certificate that cannot be used refuses all of it
            _settings = change.Effective;
            _log.Reload(_settings.Log);
            _peers.Reload(_settings.Ctl);
            _postgres.Use(_settings);
            await _rest.ReloadAsync(_settings.Rest, CancellationToken.None);
            var member = LocalMemberOf(_settings);
            _loop.Adopt(member);
            TellConflicts(member.Tags);
            LogReloaded();
        }
        catch (ClusterStoreException problem)
        {
            LogSettings(problem.Message);
            LogNotReloaded();
        }
        catch (Exception problem)
        {
            // Whatever has failed: no caller waits for this, and the next reload must not find one that never ended.
            LogReloadFailed(problem);
        }
    }

    /// <summary>The log has them among the warnings of the settings.</summary>
    private void TellConflicts(MemberTags tags)
    {
        foreach (var conflict in tags.Conflicts)
        {
            _events.Append(EventKind.Warning, "tags_conflict", conflict, default, 0);
        }
    }

    private LocalMember LocalMemberOf(AgentSettings settings) => new(
        settings.Scope,
        settings.Name,
        $"postgres://{settings.Postgres.ConnectAddress}/{settings.Postgres.Database}",
        settings.Rest.ApiUrl,
        settings.Postgres.ProxyAddress is { } proxy ? $"postgres://{proxy}/{settings.Postgres.Database}" : null,
        EffectiveTags.From(settings.Tags, leavesSynchronousSet: false),
        settings.Bootstrap is { IsUsable: true },
        config => EffectivePostgresConfig.CanCloneWithoutLeader(settings, config),
        DynamicConfigCache.Read(settings.Postgres.DataDirectory, LogCache) ?? settings.Bootstrap?.Dcs
            ?? JsonElement.Parse("{}"))
    {
        Site = settings.Site,
        CanRestore = settings.PgBackRest is not null,
    };

    [LoggerMessage(EventId = 1601, Level = LogLevel.Information,
        Message = "routing-agent {Version} (compatible with {Compatible}): cluster {Scope}, member {Name}")]
    private partial void LogStarting(string version, string compatible, string scope, string name);

    [LoggerMessage(EventId = 1602, Level = LogLevel.Warning, Message = "{Problem}")]
    private partial void LogSettings(string problem);

    [LoggerMessage(EventId = 1603, Level = LogLevel.Critical, Message = "{Problem}")]
    private static partial void LogFatal(ILogger logger, string problem);

    [LoggerMessage(EventId = 1604, Level = LogLevel.Information, Message = "Got {Signal}: stopping")]
    private partial void LogSignal(PosixSignal signal);

    [LoggerMessage(EventId = 1605, Level = LogLevel.Warning, Message = "Waiting for the DCS: it has not answered yet")]
    private partial void LogNoDcs();

    [LoggerMessage(EventId = 1606, Level = LogLevel.Critical,
        Message = "Can't start; there is already a node named '{Name}' running: its REST answers at {ApiUrl}")]
    private partial void LogNameTaken(string name, string apiUrl);

    [LoggerMessage(EventId = 1607, Level = LogLevel.Information, Message = "Ended with exit code {Code}")]
    private partial void LogEnded(int code);

    [LoggerMessage(EventId = 1608, Level = LogLevel.Warning,
        Message = "The setting {Path} has changed; the new value takes effect when the agent is started again")]
    private partial void LogNeedsRestart(string path);

    [LoggerMessage(EventId = 1609, Level = LogLevel.Error,
        Message = "The configuration was not reloaded: it has the errors above; the old one stays in force")]
    private partial void LogNotReloaded();

    [LoggerMessage(EventId = 1610, Level = LogLevel.Information, Message = "The configuration was reloaded")]
    private partial void LogReloaded();

    [LoggerMessage(EventId = 1612, Level = LogLevel.Error,
        Message = "The reload of the configuration failed in its middle: some new values may be in force. Reload "
            + "again")]
    private partial void LogReloadFailed(Exception exception);

    [LoggerMessage(EventId = 1613, Level = LogLevel.Error,
        Message = "This member does not consent to {Leader} in failsafe mode: it cannot write its consent to the data "
            + "directory: {Problem}")]
    private partial void LogConsentNotKept(string leader, string problem);

    [LoggerMessage(EventId = 1620, Level = LogLevel.Critical,
        Message = "A task that guards this member ended with an error: the agent ends, and the fence stops PostgreSQL "
            + "if it is a primary")]
    private partial void LogBroke(Exception? exception);

    [LoggerMessage(EventId = 1621, Level = LogLevel.Debug,
        Message = "Removed the files of {Count} fences that were killed")]
    private partial void LogSwept(int count);

    [LoggerMessage(EventId = 1622, Level = LogLevel.Warning,
        Message = "This member does not consent to {Name} in failsafe mode: {Problem}")]
    private partial void LogNoConsent(string name, string problem);

    [LoggerMessage(EventId = 1631, Level = LogLevel.Warning, Message = "{Problem}")]
    private partial void LogCache(string problem);

    [LoggerMessage(EventId = 1630, Level = LogLevel.Debug,
        Message = "The identity of etcd could not be written to the data directory: {Problem}")]
    private partial void LogStoreMarkNotKept(string problem);

    [LoggerMessage(EventId = 1611, Level = LogLevel.Warning, Message = "Watchdog: {Problem}")]
    private partial void LogWatchdog(string problem);
}
