using System.Collections.Immutable;
using System.Globalization;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Health;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Rewind;

namespace Routing.Agent.Postgres;

/// <summary>The PostgreSQL server of this node: its directory, its files, its postmaster.</summary>
/// <remarks>This file looks; the others act, each named after what it does.</remarks>
internal sealed partial class LocalPostgresServer : IPostgres, IAsyncDisposable
{
    private const string CannotConnectNow = "57P03";
    private const string TooManyConnections = "53300";

    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CommandRunner _commands;
    private readonly PostgresPrograms _programs;
    private readonly Postmaster _postmaster;
    private readonly ConfigurationFiles _files;
    private readonly HeartbeatConnection _heartbeat;
    private readonly CallbackRunner _callbacks;
    private readonly WalEndWatch _walEnd;
    private readonly DamageMark _damage;
    private readonly DiskProbe _disk;
    private readonly ServerOutput _output;

    private volatile AgentSettings _settings;
    private volatile DynamicConfig _dynamic;
    private volatile LastReport? _last;
    private volatile Effective? _effective;
    private (uint Timeline, ImmutableArray<HistoryLine> Lines) _history = (0, []);
    private ImmutableSortedDictionary<string, ParameterChange> _pendingRestart =
        ImmutableSortedDictionary<string, ParameterChange>.Empty;

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
        (_settings, _dynamic, _time, _logger) = (settings, dynamicConfig, time, logger);
        _commands = new CommandRunner(time);
        _programs = new PostgresPrograms(settings.Postgres, _commands);
        _postmaster = new Postmaster(settings.Postgres.DataDirectory, time, wakeUp, logger);
        _files = new ConfigurationFiles(settings.Postgres, new ConfigurationNotes(LogOverruled, LogRefused));
        _heartbeat = new HeartbeatConnection(time);
        _callbacks = new CallbackRunner(_commands, logger);
        _damage = new DamageMark(settings.Postgres.DataDirectory);
        _walEnd = new WalEndWatch(settings.Postgres.DataDirectory, wakeUp, time, logger);
        _disk = new DiskProbe(time);
        _output = new ServerOutput(settings, time, logger);
    }

    private string DataDirectory => _settings.Postgres.DataDirectory;

    private AuthenticationSettings Users => _settings.Postgres.Authentication;

    /// <summary>Takes re-read local settings; <see cref="ApplyConfigurationAsync"/> puts them into force.</summary>
    public void Use(AgentSettings settings) => _settings = settings;

    /// <summary>Ends what runs beside the server. The server itself goes on.</summary>
    public async ValueTask DisposeAsync()
    {
        _filesGate.Dispose();
        await _callbacks.DisposeAsync();
        await _heartbeat.DisposeAsync();
        _walEnd.Dispose();
        await _output.DisposeAsync();
    }

    /// <inheritdoc/>
    public async ValueTask<LocalPostgres> ObserveAsync(CancellationToken cancellationToken)
    {
        var process = _postmaster.Find();
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
            await EffectiveAsync(_last?.Report.InRecovery == false ? Role.Primary : Role.Replica, cancellationToken);
        seen = seen with
        {
            HasRecoverySignal = _files.HasRecoverySignal,
            Damage = _damage.Read(),
            PendingRestart = _pendingRestart,
            UserSynchronousStandbyNames = _last?.Report.SynchronousStandbyNames is { Length: > 0 }
                ? _files.UsersValue(SynchronousNames, config.Config)
                    : config.Config.Parameters.GetValueOrDefault(SynchronousNames),
            HasRestoreCommand = config.Config.RecoveryParameters.ContainsKey("restore_command"),
            RewindPossible = config.Config.UseRewind && control is ({ WalLogHints: true } or { DataChecksums: true }),
            MayRemoveDivergedData = config.Config.RemoveDataDirectoryOnDivergedTimelines,
            MayRemoveAfterFailedRewind = config.Config.RemoveDataDirectoryOnRewindFailure,
        };
        return process is null
            ? Stopped(seen)
            : await ObserveRunningAsync(
                seen with { PostmasterPid = process.Pid, PromotionAsked = process.Pid == _promotionAskedOf }, process,
                config.Config, cancellationToken);
    }

    private LocalPostgres Stopped(LocalPostgres seen)
    {
        _last = null;
        var control = seen.Control;
        return seen with
        {
            Server = ServerState.Stopped,
            Timeline = control is null ? 0 : Math.Max(control.Timeline, control.MinimumRecoveryTimeline),
            WalPosition = control is null ? Lsn.Zero : Lsn.Max(control.Checkpoint, control.MinimumRecoveryEnd),
            Following = seen.HasRecoverySignal
                ? RecoverySettings.Read(_files.Find("primary_conninfo"), _files.Find("primary_slot_name"))
                : null,
        };
    }

    private async ValueTask<LocalPostgres> ObserveRunningAsync(
        LocalPostgres seen, PidFd process, PostgresConfig config, CancellationToken cancellationToken)
    {
        var file = _postmaster.ReadFile(process);
        seen = seen with
        {
            Disk = _disk.Look(DataDirectory, _dynamic.Health),
            PostmasterStart = file is null ? null : DateTimeOffset.FromUnixTimeSeconds(file.StartSeconds),
            Timeline = seen.Control?.Timeline ?? 0,
        };
        if (_last is { } known && known.Pid != process.Pid)
        {
            _last = null;
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
            var report = await _heartbeat.AskAsync(
                process.Pid, LocalAddress(file, config), Users.Superuser, _settings.Postgres.Database,
                cancellationToken);
            var received = Math.Max(report.ReceivedTimeline, _last?.ReceivedTimeline ?? 0);
            _last = new LastReport(process.Pid, report, received);
            return WithLast(seen with { Server = ServerState.Running });
        }
        catch (PostgresException error) when (error.SqlState == CannotConnectNow && _last is null)
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
        if (_last is not { } last)
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
                    NewLeader = _settings.Name,
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

    /// <summary>With data in place the server program can be asked which parameters it knows.</summary>
    private bool HasData => File.Exists(Path.Combine(DataDirectory, "PG_VERSION"));

    /// <summary>The settings in force for a role.</summary>
    private async ValueTask<Effective> EffectiveAsync(Role role, CancellationToken cancellationToken)
    {
        var version = await _programs.VersionAsync(cancellationToken);
        if (_effective is { } known && known.Role == role && known.Version == version
            && ReferenceEquals(known.Settings, _settings) && ReferenceEquals(known.Dynamic, _dynamic)
            && known.HasData == HasData)
        {
            return known;
        }
        var (settings, dynamic) = (_settings, _dynamic);
        var config = EffectivePostgresConfig.Combine(settings, dynamic, role, version / 10000);
        var refused = await _programs.RefusedAsync(
            config.Parameters.Where(pair => !config.ControlledParameters.ContainsKey(pair.Key))
                .Concat(config.RecoveryParameters),
            DataDirectory, cancellationToken);
        if (refused.Count > 0)
        {
            config = config with
            {
                Parameters = config.Parameters.RemoveRange(refused.Keys),
                RecoveryParameters = config.RecoveryParameters.RemoveRange(refused.Keys),
                Problems = [.. config.Problems, .. refused.Select(pair =>
                    $"postgresql.parameters.{pair.Key}: PostgreSQL {version / 10000} refuses it ({pair.Value}); it is "
                        + "left out")],
            };
        }
        if (_effective is not { } before || !before.Config.Problems.SequenceEqual(config.Problems))
        {
            foreach (var problem in config.Problems)
            {
                LogProblem(problem);
            }
        }
        return _effective = new Effective(role, version, settings, dynamic, config, HasData);
    }

    /// <summary>Where our own connections go: the socket, or an address that the server listens on.</summary>
    private HostPort LocalAddress(PostmasterFile file, PostgresConfig config)
    {
        var port = file.Port > 0 ? file.Port : _settings.Postgres.Port;
        if (config.UseUnixSocket)
        {
            var directory = config.Parameters.GetValueOrDefault("unix_socket_directories")?.Split(',')[0].Trim();
            directory = string.IsNullOrEmpty(directory) ? file.SocketDirectory : directory;
            if (directory.Length > 0)
            {
                return new HostPort(directory, port);
            }
        }
        return new HostPort(LocalHost(_settings.Postgres.ListenAddresses), port);
    }

    private static string LocalHost(ImmutableArray<string> addresses)
    {
        if (addresses.Any(address => address is "*" or "0.0.0.0" or "localhost" or "127.0.0.1"))
        {
            return "127.0.0.1";
        }
        return addresses.FirstOrDefault(address => address is "::" or "::1") is null ? addresses[0] : "::1";
    }

    private async Task<ServerSession> OpenLocalAsync(
        string options, CancellationToken cancellationToken, string? database = null)
    {
        var process = _postmaster.Find() ?? throw new IOException("PostgreSQL is not running.");
        var file =
            _postmaster.ReadFile(process) ?? throw new IOException("PostgreSQL has not written postmaster.pid yet.");
        var config = (await EffectiveAsync(_effective?.Role ?? Role.Replica, cancellationToken)).Config;
        return await ServerSession.OpenAsync(
            LocalAddress(file, config), Users.Superuser, database ?? _settings.Postgres.Database, "Patroni", options,
            cancellationToken);
    }

    /// <summary>
    /// The last answer of one postmaster, and the highest timeline that its WAL receiver was seen on.
    /// </summary>
    private sealed record LastReport(int Pid, ServerReport Report, uint ReceivedTimeline);

    private sealed record Effective(
        Role Role, int Version, AgentSettings Settings, DynamicConfig Dynamic, PostgresConfig Config, bool HasData)
    {
        public int Major => Version / 10000;
    }

    [LoggerMessage(EventId = 2010, Level = LogLevel.Warning, Message = "PostgreSQL does not answer: {Problem}")]
    private partial void LogNoAnswer(string problem);

    [LoggerMessage(
        EventId = 2011, Level = LogLevel.Warning, Message = "Cannot read the timeline history {Path}: {Problem}")]
    private partial void LogHistoryUnreadable(string path, string problem);

    [LoggerMessage(EventId = 2015, Level = LogLevel.Warning,
        Message = "{Parameter} was set by ALTER SYSTEM; the agent sets it, and has taken it out of "
            + "postgresql.auto.conf")]
    private partial void LogOverruled(string parameter);

    [LoggerMessage(EventId = 2029, Level = LogLevel.Warning,
        Message = "The lock file of the socket in {Directory} names process {Pid}, which is not the PostgreSQL that "
            + "made it: the file is removed")]
    private partial void LogForeignLock(string directory, int pid);

    [LoggerMessage(EventId = 2017, Level = LogLevel.Error,
        Message = "PostgreSQL does not accept the new {File}; what it accepted last stays: {Problem}")]
    private partial void LogRefused(string file, string problem);

    [LoggerMessage(EventId = 2013, Level = LogLevel.Warning,
        Message = "PostgreSQL was told to read its configuration again and has not taken it within {Seconds} s: its "
            + "own log says whether a file has an error")]
    private partial void LogNotReloaded(double seconds);

    [LoggerMessage(EventId = 2012, Level = LogLevel.Warning, Message = "{Problem}")]
    private partial void LogProblem(string problem);
}
