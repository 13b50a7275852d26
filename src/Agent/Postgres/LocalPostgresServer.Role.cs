using Microsoft.Extensions.Logging;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Verbs;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres;

/// <content>Promotion, following, callbacks.</content>
internal sealed partial class LocalPostgresServer
{
    private static readonly TimeSpan s_promotePoll = TimeSpan.FromMilliseconds(2);

    /// <inheritdoc/>
    public async Task<StepResult> PromoteAsync(uint usedTimeline, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var config = (await EffectiveAsync(_context.Settings.Latest?.Role ?? Role.Replica, cancellationToken)).Config;
        if (config.PrePromote is { } command
            && await RunPrePromoteAsync(command, cancellationToken) is { Ok: false } refused)
        {
            return refused;
        }
        cancellationToken.ThrowIfCancellationRequested();   // the point of no return
        if (Postmaster.Find() is not { } process)
        {
            return StepResult.Failed("is not running");
        }
        var start = Time.GetTimestamp();
        await ReserveTimelinesAsync(usedTimeline);
        if (DataDirectoryState.Look(DataDirectory, inUse: true).Control?.File.State != ControlState.InProduction)
        {
            Memory.PromotionAskedOf = process.Pid;
            // What pg_promote() does, without a connection: the startup process looks for the file on the signal.
            await File.WriteAllTextAsync(Path.Combine(DataDirectory, "promote"), "", CancellationToken.None);
            process.TrySignal(Signals.User1);
        }
        while (DataDirectoryState.Look(DataDirectory, inUse: true).Control?.File.State != ControlState.InProduction)
        {
            if (process.HasExited)
            {
                return StepResult.Failed("ended during the promotion");
            }
            if (Time.GetElapsedTime(start) >= timeout)
            {
                return StepResult.Failed(
                    $"is still in recovery {timeout.TotalSeconds:0} s after the promotion was asked for");
            }
            await Task.Delay(s_promotePoll, Time, cancellationToken);
        }
        var milliseconds = Time.GetElapsedTime(start).TotalMilliseconds;
        LogPromoted(milliseconds);
        return StepResult.Done($"is a primary after {milliseconds:0} ms");
    }

    internal const string Reservation = "# reserved: another member may have opened this timeline\n";

    /// <summary>Makes PostgreSQL step over the timelines that others may have opened.</summary>
    /// <remarks>
    /// It opens the timeline after the last one for which it finds a history file (findNewestTimeLine in timeline.c),
    /// and does not know of a primary that died before anybody had its history. Two histories with one number corrupt
    /// whoever streams across them, unnoticed. A file without ancestors belongs to no history, so that no standby goes
    /// there.
    /// </remarks>
    private async Task ReserveTimelinesAsync(uint usedTimeline)
    {
        var own = DataDirectoryState.Look(DataDirectory, inUse: true).Control?.File.Timeline ?? 1;
        for (var timeline = own + 1; timeline <= usedTimeline; timeline++)
        {
            var file = Path.Combine(DataDirectory, "pg_wal", $"{timeline:X8}.history");
            if (!File.Exists(file))
            {
                await File.WriteAllTextAsync(file, Reservation, CancellationToken.None);
            }
        }
    }

    /// <summary>Removes reservations whose promotion never came about.</summary>
    /// <remarks>
    /// A server that starts in recovery aims at the newest timeline that it finds a history file for, and refuses to
    /// start when that one is not a child of its own: a reservation must not outlive the attempt that it was made for.
    /// </remarks>
    private void DropReservations()
    {
        var folder = Path.Combine(DataDirectory, "pg_wal");
        foreach (var file in Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*.history") : [])
        {
            if (File.ReadAllText(file) == Reservation)
            {
                File.Delete(file);
            }
        }
    }

    /// <inheritdoc/>
    public async Task<StepResult> FollowAsync(Upstream? upstream, CancellationToken cancellationToken)
    {
        if (Postmaster.Find() is not { } process)
        {
            return StepResult.Failed("is not running");
        }
        if (!Files.HasRecoverySignal)
        {
            return StepResult.Failed("is not a standby; it has to be stopped first");
        }
        try
        {
            var effective = await EffectiveAsync(Role.Replica, cancellationToken);
            await WriteFilesAsync(effective, asPrimary: false, upstream, RaisedForStandby(effective.Config),
                cancellationToken);
            // primary_conninfo and primary_slot_name are read again on a reload since PostgreSQL 13.
            process.TrySignal(Signals.Hangup);
            return StepResult.Done(upstream is null ? "follows nobody" : $"follows {upstream.Address}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            return StepResult.Failed($"could not change whom it follows: {error.Message}");
        }
    }

    /// <inheritdoc/>
    public void RunCallback(string action, Role role)
    {
        if (_context.Settings.Latest?.Config.Callbacks.GetValueOrDefault(action) is not { } text)
        {
            return;
        }
        try
        {
            var shown = role == Role.Promoted ? Role.Primary : role;
            _callbacks.Start(action, ProgramRunner.CommandFor(text, action, shown.ToWire(), Settings.Scope));
        }
        catch (FormatException error)
        {
            Runner.LogScriptFailed(action, error.Message);
        }
    }

    /// <summary>The leader key is held meanwhile, and nobody else can take over.</summary>
    private static readonly TimeSpan s_prePromoteLimit = TimeSpan.FromMinutes(5);

    private async Task<StepResult> RunPrePromoteAsync(string text, CancellationToken cancellationToken)
    {
        try
        {
            var command = ProgramRunner.CommandFor(text) with { Timeout = s_prePromoteLimit };
            var result = await Runner.RunHookAsync("pre_promote", command, cancellationToken);
            return result.IsSuccess ? StepResult.Done("pre_promote agreed")
                : StepResult.Failed($"pre_promote refused: {result}");
        }
        catch (Exception error) when (error is IOException or FormatException)
        {
            return StepResult.Failed($"pre_promote could not run: {error.Message}");
        }
    }

    [LoggerMessage(EventId = 2050, Level = LogLevel.Information,
        Message = "PostgreSQL is a primary {Milliseconds} ms after it was told to")]
    private partial void LogPromoted(double milliseconds);
}
