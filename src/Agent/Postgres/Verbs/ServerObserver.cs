using System.Collections.Immutable;
using System.Globalization;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Configuration;
using Routing.Agent.Postgres.Files;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Rewind;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Tells how the local server and its data are.</summary>
internal sealed partial class ServerObserver(ServerContext context) : IDisposable
{
    private const string CannotConnectNow = "57P03";
    private const string TooManyConnections = "53300";

    private readonly ILogger _logger = context.Logger;
    private readonly DiskProbe _disk = new(context.Time);
    private readonly WalEndWatch _walEnd =
        new(context.DataDirectory, context.WakeUp, context.Time, context.Logger);

    private (uint Timeline, ImmutableArray<HistoryLine> Lines) _history = (0, []);

    public void Dispose() => _walEnd.Dispose();

    /// <summary>Looks at directory, processes and, where one answers, the server. Bounded by about 2 s.</summary>
    public async ValueTask<LocalPostgres> ObserveAsync(CancellationToken cancellationToken)
    {
        var process = context.Postmaster.Find();
        var data = DataDirectoryState.Look(context.DataDirectory, inUse: process is not null);
        var control = data.Control?.File;
        var restored = RestorePlace.Find(context.DataDirectory);
        var seen = new LocalPostgres
        {
            Data = data.Kind, DataProblem = data.Problem, Control = control, RestoreId = restored,
            Damage = restored is null ? DataDamage.None : DataDamage.Restored,
        };
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
            await context.Settings.ForAsync(
                context.Memory.LastReport?.Report.InRecovery == false ? Role.Primary : Role.Replica, cancellationToken);
        seen = seen with
        {
            HasRecoverySignal = context.Files.HasRecoverySignal,
            Damage = restored is null ? context.Damage.Read() : DataDamage.Restored,
            PendingRestart = context.Memory.PendingRestart,
            UserSynchronousStandbyNames = context.Memory.LastReport?.Report.SynchronousStandbyNames is { Length: > 0 }
                ? context.Files.UsersValue(ServerFiles.SynchronousNames, config.Config)
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
                    PromotionAsked = process.Pid == context.Memory.PromotionAskedOf,
                },
                process, config.Config, cancellationToken);
    }

    private LocalPostgres Stopped(LocalPostgres seen)
    {
        context.Memory.LastReport = null;
        var control = seen.Control;
        return seen with
        {
            Server = ServerState.Stopped,
            ShutdownEnd = control?.State == ControlState.ShutDown
                ? DataDirectoryState.Look(context.DataDirectory, inUse: false).Control?.EndOfCheckpointRecord
                : null,
            Timeline = control is null ? 0 : Math.Max(control.Timeline, control.MinimumRecoveryTimeline),
            WalPosition = control is null ? Lsn.Zero : Lsn.Max(control.Checkpoint, control.MinimumRecoveryEnd),
            Following = seen.HasRecoverySignal
                ? RecoverySettings.Read(context.Files.Find("primary_conninfo"), context.Files.Find("primary_slot_name"))
                : null,
        };
    }

    private async ValueTask<LocalPostgres> ObserveRunningAsync(
        LocalPostgres seen, PidFd process, PostgresConfig config, CancellationToken cancellationToken)
    {
        var file = context.Postmaster.ReadFile(process);
        seen = seen with
        {
            Disk = _disk.Look(context.DataDirectory, context.Settings.Dynamic.Health),
            PostmasterStart = file is null ? null : DateTimeOffset.FromUnixTimeSeconds(file.StartSeconds),
            Timeline = seen.Control?.Timeline ?? 0,
        };
        if (context.Memory.LastReport is { } known && known.Pid != process.Pid)
        {
            context.Memory.LastReport = null;
        }
        if (file?.Status is null or PostmasterStatus.Unknown or PostmasterStatus.Starting or PostmasterStatus.Standby)
        {
            return seen with { Server = ServerState.Starting };
        }
        if (file.Status == PostmasterStatus.Stopping)
        {
            // Read after the status: what pg_control said before may be from before the start of this server.
            var state = DataDirectoryState.Look(context.DataDirectory, inUse: true).Control?.File.State;
            return WithLast(seen with
            {
                Server = ServerState.Unresponsive,
                SessionsHaveEnded =
                    state is ControlState.ShuttingDown or ControlState.ShutDown or ControlState.ShutDownInRecovery,
            });
        }
        try
        {
            var report = await context.Heartbeat.AskAsync(
                process.Pid, context.Connections.AddressOf(file, config), context.Users.Superuser,
                context.Settings.Postgres.Database, cancellationToken);
            var received = Math.Max(report.ReceivedTimeline, context.Memory.LastReport?.ReceivedTimeline ?? 0);
            context.Memory.LastReport = new LastReport(process.Pid, report, received);
            return WithLast(seen with { Server = ServerState.Running });
        }
        catch (PostgresException error) when (error.SqlState == CannotConnectNow && context.Memory.LastReport is null)
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

    /// <summary>Adds the server's last answer; without any, what pg_control says.</summary>
    private LocalPostgres WithLast(LocalPostgres seen)
    {
        if (context.Memory.LastReport is not { } last)
        {
            // The server was adopted and has not answered. "In production" is the state of a primary, and to take a
            // standby for one does less harm than to overlook a primary.
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
        // WAL in its files was confirmed to a primary once; what it receives now may begin far below.
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
            Sender = report.Sender,
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
            context.DataDirectory, "pg_wal", string.Create(CultureInfo.InvariantCulture, $"{timeline:X8}.history"));
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
                    NewLeader = context.Settings.Local.Name,
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

    /// <summary>A cluster whose bootstrap an earlier agent began and did not end: its server must not go on.</summary>
    private bool IsHalfMade(LocalPostgres seen) =>
        !context.Memory.IsBootstrapping && seen.Control is { } control && context.Filling.IsHalfMade(control.SystemId);

    [LoggerMessage(EventId = 2010, Level = LogLevel.Warning, Message = "PostgreSQL does not answer: {Problem}")]
    private partial void LogNoAnswer(string problem);

    [LoggerMessage(
        EventId = 2011, Level = LogLevel.Warning, Message = "Cannot read the timeline history {Path}: {Problem}")]
    private partial void LogHistoryUnreadable(string path, string problem);
}
