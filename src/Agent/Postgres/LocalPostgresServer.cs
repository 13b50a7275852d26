using System.Collections.Immutable;
using System.Globalization;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Health;
using Routing.Agent.Postgres.Verbs;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Rewind;
using Routing.Ha.Slots;

namespace Routing.Agent.Postgres;

/// <summary>The PostgreSQL server of this node: its directory, its files, its postmaster.</summary>
/// <remarks>This file looks; the others act, each named after what it does.</remarks>
internal sealed partial class LocalPostgresServer : IPostgres, IAsyncDisposable
{
    private const string CannotConnectNow = "57P03";
    private const string TooManyConnections = "53300";

    private readonly ServerContext _context;
    private readonly ILogger _logger;
    private readonly ServerFiles _files;
    private readonly PostmasterLaunch _launch;
    private readonly ServerStart _start;
    private readonly ServerStop _stop;
    private readonly ServerRestart _restart;
    private readonly ServerCheckpoint _checkpoint;
    private readonly Promotion _promotion;
    private readonly UpstreamChange _upstream;
    private readonly ReplayResumption _replay;
    private readonly ConfigurationReload _reload;
    private readonly SynchronousNames _synchronousNames;
    private readonly Callbacks _callbacks;
    private readonly WalEndWatch _walEnd;
    private readonly DiskProbe _disk;
    private readonly SlotMaintenance _slots;
    private readonly WalArchiving _archiving;

    private (uint Timeline, ImmutableArray<HistoryLine> Lines) _history = (0, []);

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
        _logger = logger;
        _context = new ServerContext(settings, dynamicConfig, time, wakeUp, logger);
        _files = new ServerFiles(_context);
        _launch = new PostmasterLaunch(_context, _files);
        _checkpoint = new ServerCheckpoint(_context);
        _start = new ServerStart(_context, _files, _launch);
        _stop = new ServerStop(_context, _checkpoint);
        _restart = new ServerRestart(_stop, _start, _context.Memory);
        _promotion = new Promotion(_context);
        _upstream = new UpstreamChange(_context, _files);
        _replay = new ReplayResumption(_context);
        _reload = new ConfigurationReload(_context, _files);
        _synchronousNames = new SynchronousNames(_context, _files);
        _callbacks = new Callbacks(_context);
        _walEnd = new WalEndWatch(settings.Postgres.DataDirectory, wakeUp, time, logger);
        _disk = new DiskProbe(time);
        _slots = new SlotMaintenance(_context);
        _archiving = new WalArchiving(_context);
    }

    private TimeProvider Time => _context.Time;

    private PostgresPrograms Programs => _context.Programs;

    private Postmaster Postmaster => _context.Postmaster;

    private ConfigurationFiles Files => _context.Files;

    private HeartbeatConnection Heartbeat => _context.Heartbeat;

    private DamageMark Damage => _context.Damage;

    private ServerOutput Output => _context.Output;

    private AgentSettings Settings => _context.Settings.Local;

    private DynamicConfig Dynamic => _context.Settings.Dynamic;

    private ServerMemory Memory => _context.Memory;

    private ProgramRunner Runner => _context.Runner;

    private string DataDirectory => _context.DataDirectory;

    private AuthenticationSettings Users => Settings.Postgres.Authentication;

    /// <summary>Takes re-read local settings; <see cref="ApplyConfigurationAsync"/> puts them into force.</summary>
    public void Use(AgentSettings settings) => _context.Settings.Local = settings;

    /// <summary>Ends what runs beside the server. The server itself goes on.</summary>
    public async ValueTask DisposeAsync()
    {
        _files.Dispose();
        await _callbacks.DisposeAsync();
        _walEnd.Dispose();
        await _context.DisposeAsync();
    }

    /// <inheritdoc/>
    public Task<StepResult> MaintainSlotsAsync(SlotPlan plan, CancellationToken cancellationToken) =>
        _slots.PerformAsync(plan, cancellationToken);

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
    public Task<StepResult> ResumeReplayAsync(CancellationToken cancellationToken) =>
        _replay.ResumeAsync(cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> ApplyConfigurationAsync(
        DynamicConfig config, bool force, CancellationToken cancellationToken) =>
        _reload.ApplyAsync(config, force, cancellationToken);

    /// <inheritdoc cref="ConfigurationReload.RefusalsAsync"/>
    public Task<ImmutableArray<string>> RefusalsAsync(
        DynamicConfig present, DynamicConfig next, CancellationToken cancellationToken) =>
        _reload.RefusalsAsync(present, next, cancellationToken);

    /// <inheritdoc/>
    public Task<StepResult> SetSynchronousStandbyNamesAsync(string? names, CancellationToken cancellationToken) =>
        _synchronousNames.SetAsync(names, cancellationToken);

    /// <inheritdoc/>
    public void RunCallback(string action, Role role) => _callbacks.Start(action, role);

    /// <inheritdoc/>
    public async ValueTask<LocalPostgres> ObserveAsync(CancellationToken cancellationToken)
    {
        var process = Postmaster.Find();
        var data = DataDirectoryState.Look(DataDirectory, inUse: process is not null);
        var control = data.Control?.File;
        var seen = new LocalPostgres { Data = data.Kind, DataProblem = data.Problem, Control = control };
        if (process is not null && IsHalfMade(seen))
        {
            seen = seen with { Data = Ha.DataDirectory.Inaccessible,
                DataProblem = "its bootstrap was begun by an earlier agent and has not ended" };
        }
        if (seen.Data != Ha.DataDirectory.Ready)
        {
            return process is null ? seen
                : WithLast(seen with { Server = ServerState.Unresponsive, PostmasterPid = process.Pid });
        }
        var config =
            await EffectiveAsync(
                Memory.LastReport?.Report.InRecovery == false ? Role.Primary : Role.Replica, cancellationToken);
        seen = seen with
        {
            HasRecoverySignal = Files.HasRecoverySignal,
            Damage = Damage.Read(),
            PendingRestart = Memory.PendingRestart,
            UserSynchronousStandbyNames = Memory.LastReport?.Report.SynchronousStandbyNames is { Length: > 0 }
                ? Files.UsersValue(ServerFiles.SynchronousNames, config.Config)
                    : config.Config.Parameters.GetValueOrDefault(ServerFiles.SynchronousNames),
            HasRestoreCommand = config.Config.RecoveryParameters.ContainsKey("restore_command"),
            RewindPossible = config.Config.UseRewind && control is ({ WalLogHints: true } or { DataChecksums: true }),
            MayRemoveDivergedData = config.Config.RemoveDataDirectoryOnDivergedTimelines,
            MayRemoveAfterFailedRewind = config.Config.RemoveDataDirectoryOnRewindFailure,
        };
        return process is null
            ? Stopped(seen)
            : await ObserveRunningAsync(
                seen with
                {
                    PostmasterPid = process.Pid,
                    PromotionAsked = process.Pid == Memory.PromotionAskedOf,
                },
                process, config.Config, cancellationToken);
    }

    private LocalPostgres Stopped(LocalPostgres seen)
    {
        Memory.LastReport = null;
        var control = seen.Control;
        return seen with
        {
            Server = ServerState.Stopped,
            Timeline = control is null ? 0 : Math.Max(control.Timeline, control.MinimumRecoveryTimeline),
            WalPosition = control is null ? Lsn.Zero : Lsn.Max(control.Checkpoint, control.MinimumRecoveryEnd),
            Following = seen.HasRecoverySignal
                ? RecoverySettings.Read(Files.Find("primary_conninfo"), Files.Find("primary_slot_name"))
                : null,
        };
    }

    private async ValueTask<LocalPostgres> ObserveRunningAsync(
        LocalPostgres seen, PidFd process, PostgresConfig config, CancellationToken cancellationToken)
    {
        var file = Postmaster.ReadFile(process);
        seen = seen with
        {
            Disk = _disk.Look(DataDirectory, Dynamic.Health),
            PostmasterStart = file is null ? null : DateTimeOffset.FromUnixTimeSeconds(file.StartSeconds),
            Timeline = seen.Control?.Timeline ?? 0,
        };
        if (Memory.LastReport is { } known && known.Pid != process.Pid)
        {
            Memory.LastReport = null;
        }
        if (file?.Status is null or PostmasterStatus.Unknown or PostmasterStatus.Starting or PostmasterStatus.Standby)
        {
            return seen with { Server = ServerState.Starting };
        }
        if (file.Status == PostmasterStatus.Stopping)
        {
            // Read after the status: what pg_control said before may be from before the start of this server.
            var state = DataDirectoryState.Look(DataDirectory, inUse: true).Control?.File.State;
            return WithLast(seen with
            {
                Server = ServerState.Unresponsive,
                SessionsHaveEnded =
                    state is ControlState.ShuttingDown or ControlState.ShutDown or ControlState.ShutDownInRecovery,
            });
        }
        try
        {
            var report = await Heartbeat.AskAsync(
                process.Pid, _context.Connections.AddressOf(file, config), Users.Superuser, Settings.Postgres.Database,
                cancellationToken);
            var received = Math.Max(report.ReceivedTimeline, Memory.LastReport?.ReceivedTimeline ?? 0);
            Memory.LastReport = new LastReport(process.Pid, report, received);
            return WithLast(seen with { Server = ServerState.Running });
        }
        catch (PostgresException error) when (error.SqlState == CannotConnectNow && Memory.LastReport is null)
        {
            return seen with { Server = ServerState.Starting };
        }
        catch (Exception error) when (error is NpgsqlException or TimeoutException or SocketException or IOException)
        {
            if (process.HasExited)
            {
                return Stopped(seen with { PostmasterPid = 0, PostmasterStart = null });
            }
            LogNoAnswer(error.Message);
            // A server without a free connection refuses, and so it is alive.
            var isFull = error is PostgresException { SqlState: TooManyConnections };
            return WithLast(seen with { Server = ServerState.Unresponsive, HasFreeConnections = !isFull });
        }
    }

    /// <summary>Adds what the server answered last; without any answer pg_control has to do.</summary>
    private LocalPostgres WithLast(LocalPostgres seen)
    {
        if (Memory.LastReport is not { } last)
        {
            // Adopted and silent. "In production" is the state of a primary: better to think it one than to forget it.
            return seen with
            {
                IsPrimary = seen.Control is null or { State: ControlState.InProduction or ControlState.ShuttingDown }
                    && !seen.HasRecoverySignal,
                WalPosition = seen.Control?.Checkpoint ?? Lsn.Zero,
            };
        }
        var report = last.Report;
        var isPrimary = !report.InRecovery;
        var controlTimeline =
            seen.Control is { } control ? Math.Max(control.Timeline, control.MinimumRecoveryTimeline) : 0;
        // What stands in its files was confirmed to a primary once; what it receives now may begin far below.
        var found = isPrimary ? (Lsn.Zero, 0) : _walEnd.Of(last.Pid, last.ReceivedTimeline);
        var received = Lsn.Max(report.Received, found?.Position ?? Lsn.Zero);
        return seen with
        {
            IsPrimary = isPrimary,
            Timeline = isPrimary
                ? report.PrimaryTimeline
                : Math.Max(Math.Max(last.ReceivedTimeline, controlTimeline), found?.Timeline ?? 0),
            WalPosition = isPrimary ? report.Flushed : Lsn.Max(received, report.Replayed),
            IsWalEndUnknown = found is null,
            ReceivedLsn = isPrimary ? Lsn.Zero : received,
            ReplayedLsn = report.Replayed,
            LatestEndLsn = report.LatestEnd,
            ReplayedTimestamp = report.ReplayedTimestamp,
            IsStreaming = report.IsStreaming,
            ReplayPaused = report.ReplayPaused,
            Following = isPrimary ? null : RecoverySettings.Read(report.PrimaryConnInfo, report.PrimarySlotName),
            ServerVersion = report.Version,
            PostmasterStart = report.PostmasterStart,
            Standbys = report.Standbys,
            Slots = report.Slots,
            // on a standby too: it is set before a promotion
            SynchronousStandbyNames = report.SynchronousStandbyNames,
            SynchronousCommit = report.SynchronousCommit,
            CheckpointedSincePromotion = isPrimary && seen.Control?.Timeline == report.PrimaryTimeline,
            History = isPrimary ? History(report.PrimaryTimeline) : [],
        };
    }

    /// <summary>The history file of the primary's timeline; read once per timeline.</summary>
    private ImmutableArray<HistoryLine> History(uint timeline)
    {
        if (timeline <= 1 || _history.Timeline == timeline)
        {
            return timeline <= 1 ? [] : _history.Lines;
        }
        var path = Path.Combine(
            DataDirectory, "pg_wal", string.Create(CultureInfo.InvariantCulture, $"{timeline:X8}.history"));
        try
        {
            var lines = TimelineHistoryFile.Parse(File.ReadAllText(path))
                .Select(line => new HistoryLine(line.Timeline, line.SwitchPoint, line.Reason, null, null))
                    .ToImmutableArray();
            if (!lines.IsEmpty)
            {
                var when = new DateTimeOffset(File.GetLastWriteTimeUtc(path), TimeSpan.Zero);
                lines = lines.SetItem(lines.Length - 1, lines[^1] with
                {
                    Timestamp = when.ToString("yyyy-MM-ddTHH:mm:ss.ffffffzzz", CultureInfo.InvariantCulture),
                    NewLeader = Settings.Name,
                });
            }
            _history = (timeline, lines);
            return lines;
        }
        catch (Exception error) when (error is IOException or FormatException)
        {
            LogHistoryUnreadable(path, error.Message);
            return [];
        }
    }

    private bool HasData => _context.Settings.HasData;

    private ValueTask<EffectiveSettings> EffectiveAsync(Role role, CancellationToken cancellationToken) =>
        _context.Settings.ForAsync(role, cancellationToken);

    private Task<ServerSession> OpenLocalAsync(string options, CancellationToken cancellationToken) =>
        _context.Connections.OpenAsync(options, cancellationToken);

    [LoggerMessage(EventId = 2010, Level = LogLevel.Warning, Message = "PostgreSQL does not answer: {Problem}")]
    private partial void LogNoAnswer(string problem);

    [LoggerMessage(
        EventId = 2011, Level = LogLevel.Warning, Message = "Cannot read the timeline history {Path}: {Problem}")]
    private partial void LogHistoryUnreadable(string path, string problem);
}
