using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Slots;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>The PostgreSQL server of this node: its directory, its files, its postmaster.</summary>
/// <remarks>Each verb has a class of its own; this one makes them, over one context, and hands the calls on.</remarks>
internal sealed class LocalPostgresServer : IPostgres, IAsyncDisposable
{
    private readonly ServerContext _context;
    private readonly ServerFiles _files;
    private readonly ServerObserver _observer;
    private readonly ServerStart _start;
    private readonly ServerStop _stop;
    private readonly ServerRestart _restart;
    private readonly ServerCheckpoint _checkpoint;
    private readonly Promotion _promotion;
    private readonly UpstreamChange _upstream;
    private readonly ReplayResumption _replay;
    private readonly ClusterBootstrap _bootstrap;
    private readonly FailedBootstrap _failedBootstrap;
    private readonly MemberClone _clone;
    private readonly DivergenceComparison _divergence;
    private readonly RemoteCluster _remote;
    private readonly DataRewind _rewind;
    private readonly DataRestore _restore;
    private readonly SlotMaintenance _slots;
    private readonly LogicalSlotWork _logicalSlots;
    private readonly SlotCopy _slotCopy;
    private readonly ConfigurationReload _reload;
    private readonly ServerCatalogue _catalogue;
    private readonly SynchronousNames _synchronousNames;
    private readonly Callbacks _callbacks;
    private readonly WriteCount _writes;
    private readonly ClientTransactions _transactions;

    /// <summary>The server of these settings. Nothing is touched before the first verb.</summary>
    /// <param name="settings">The local configuration.</param>
    /// <param name="dynamicConfig">The dynamic configuration known so far; its default when there is none yet.</param>
    /// <param name="time">For all waiting.</param>
    /// <param name="wakeUp">
    /// Called within milliseconds when the postmaster ends, on a thread of the pool; must return at once.
    /// </param>
    /// <param name="logger">For what happens to the server.</param>
    public LocalPostgresServer(
        AgentSettings settings, DynamicConfig dynamicConfig, TimeProvider time, Action wakeUp,
        ILogger<LocalPostgresServer> logger)
    {
        _context = new ServerContext(settings, dynamicConfig, time, wakeUp, logger);
        _files = new ServerFiles(_context);
        var launch = new PostmasterLaunch(_context, _files);
        var room = new DataRoom(_context);
        _callbacks = new Callbacks(_context);
        _observer = new ServerObserver(_context);
        _checkpoint = new ServerCheckpoint(_context);
        var singleUser = new SingleUserRecovery(_context, _files, launch);
        _start = new ServerStart(_context, _files, launch, singleUser);
        _stop = new ServerStop(_context, _checkpoint);
        _restart = new ServerRestart(_stop, _start, _context.Memory);
        _promotion = new Promotion(_context);
        _upstream = new UpstreamChange(_context, _files);
        _replay = new ReplayResumption(_context);
        _bootstrap = new ClusterBootstrap(_context, _files, launch, _start, _stop, room);
        _failedBootstrap = new FailedBootstrap(_context, _stop);
        _clone = new MemberClone(_context, _stop, room);
        _divergence = new DivergenceComparison(_context, _observer);
        _remote = new RemoteCluster(_context);
        _rewind = new DataRewind(_context, _files, launch, _stop, room, singleUser);
        _restore = new DataRestore(_context, _files, launch, _stop, room);
        _slots = new SlotMaintenance(_context);
        _logicalSlots = new LogicalSlotWork(_context);
        _slotCopy = new SlotCopy(_context, _stop, _start, _callbacks);
        _reload = new ConfigurationReload(_context, _files);
        _catalogue = new ServerCatalogue(_context);
        _synchronousNames = new SynchronousNames(_context, _files);
        _writes = new WriteCount(_context);
        _transactions = new ClientTransactions(_context);
    }

    /// <summary>Takes re-read local settings; <see cref="ApplyConfigurationAsync"/> puts them into force.</summary>
    public void Use(AgentSettings settings) => _context.Settings.Local = settings;

    /// <summary>Ends what runs beside the server. The server itself goes on.</summary>
    public async ValueTask DisposeAsync()
    {
        _files.Dispose();
        await _callbacks.DisposeAsync();
        _observer.Dispose();
        await _context.DisposeAsync();
    }

    /// <inheritdoc/>
    public ValueTask<LocalPostgres> ObserveAsync(CancellationToken cancellationToken) =>
        _observer.ObserveAsync(cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> BootstrapAsync(
        IProgress<string> progress, Action<CopyProgress>? onCopied, CancellationToken cancellationToken) =>
        _bootstrap.BootstrapAsync(progress, onCopied, cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> MoveDataDirectoryAwayAsync(CancellationToken cancellationToken) =>
        _failedBootstrap.MoveAwayAsync(cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> CloneAsync(
        ClonePlan plan, IProgress<string> progress, CancellationToken cancellationToken) =>
        _clone.CloneAsync(plan, progress, cancellationToken);

    /// <inheritdoc/>
    public Task<DivergenceResult> CheckDivergenceAsync(Member primary, CancellationToken cancellationToken) =>
        _divergence.CompareAsync(primary, cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> RewindAsync(
        Member primary, IProgress<string> progress, CancellationToken cancellationToken) =>
        _rewind.RewindAsync(primary, progress, cancellationToken);

    /// <inheritdoc/>
    public Task<ImmutableArray<RemoteServer>> AskRemoteAsync(
        ImmutableArray<HostPort> hosts, CancellationToken cancellationToken) =>
        _remote.AskAsync(hosts, cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> RestoreAsync(
        RestorePlan plan, IProgress<string> progress, CancellationToken cancellationToken) =>
        _restore.RestoreAsync(plan, progress, cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> PutBackAsync(
        string id, IProgress<string> progress, CancellationToken cancellationToken) =>
        _restore.PutBackAsync(id, progress, cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> MaintainSlotsAsync(
        ImmutableArray<SlotAction> actions, CancellationToken cancellationToken) =>
        _slots.PerformAsync(actions, cancellationToken);

    /// <inheritdoc/>
    public Task<LogicalSlotOutcome> WorkOnLogicalSlotsAsync(
        LogicalSlotJob job, CancellationToken cancellationToken) => _logicalSlots.PerformAsync(job, cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> CopySlotsAsync(
        SlotCopyPlan plan, IProgress<string> progress, CancellationToken cancellationToken) =>
        _slotCopy.CopyAsync(plan, progress, cancellationToken);

    /// <inheritdoc/>
    public void NeedFeedback(bool isNeeded) => _context.Settings.NeedsFeedback = isNeeded;

    /// <inheritdoc/>
    public void LeadStandbyCluster(bool leads) => _context.Settings.LeadsStandbyCluster = leads;

    /// <inheritdoc/>
    public string StartProblem => _context.Memory.StartProblem;

    /// <inheritdoc/>
    public Task<StartOutcome> StartAsync(StartPlan plan, CancellationToken cancellationToken) =>
        _start.StartAsync(plan, cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> StopAsync(StopPlan plan, CancellationToken cancellationToken) =>
        _stop.StopAsync(plan, cancellationToken);

    /// <inheritdoc/>
    public Task<RestartResult> RestartAsync(
        RestartPlan plan, IProgress<string> progress, CancellationToken cancellationToken) =>
        _restart.RestartAsync(plan, progress, cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> CheckpointAsync(CancellationToken cancellationToken) =>
        _checkpoint.WriteAsync(cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> PromoteAsync(uint usedTimeline, TimeSpan timeout, CancellationToken cancellationToken) =>
        _promotion.PromoteAsync(usedTimeline, timeout, cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> FollowAsync(Upstream? upstream, CancellationToken cancellationToken) =>
        _upstream.FollowAsync(upstream, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<(int? Transactions, ImmutableArray<string> Oldest)> TransactionsAsync(
        CancellationToken cancellationToken) => _transactions.AskAsync(cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> ResumeReplayAsync(CancellationToken cancellationToken) =>
        _replay.ResumeAsync(cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> ApplyConfigurationAsync(
        DynamicConfig config, bool force, CancellationToken cancellationToken) =>
        _reload.ApplyAsync(config, force, cancellationToken);

    /// <inheritdoc cref="ServerCatalogue.ReadAsync"/>
    public Task<IReadOnlyDictionary<string, ParameterDefinition>?> CatalogueAsync(
        CancellationToken cancellationToken) => _catalogue.ReadAsync(cancellationToken);

    /// <summary>The first column of a query's only row, asked on a connection of its own; null: it is null.</summary>
    public async Task<string?> TextAsync(string query, CancellationToken cancellationToken)
    {
        await using var session = await _context.Connections.OpenAsync(ServerSession.Heartbeat, cancellationToken);
        return await session.TextAsync(query, cancellationToken);
    }

    /// <inheritdoc cref="ConfigurationReload.RefusalsAsync"/>
    public Task<ImmutableArray<string>> RefusalsAsync(
        DynamicConfig present, DynamicConfig next, CancellationToken cancellationToken) =>
        _reload.RefusalsAsync(present, next, cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> SetSynchronousStandbyNamesAsync(string? names, CancellationToken cancellationToken) =>
        _synchronousNames.SetAsync(names, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<ServerWrites?> WritesAsync(CancellationToken cancellationToken) =>
        await _writes.AskAsync(cancellationToken);

    /// <inheritdoc/>
    public void RunCallback(string action, Role role) => _callbacks.Start(action, role);
}
