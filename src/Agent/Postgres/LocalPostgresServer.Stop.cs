using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Loop;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Verbs;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres;

/// <content>Stopping.</content>
internal sealed partial class LocalPostgresServer
{
    private static readonly TimeSpan s_beforeStopGrace = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_killLimit = TimeSpan.FromSeconds(30);

    /// <inheritdoc/>
    public async Task<StepResult> StopAsync(StopPlan plan, CancellationToken cancellationToken)
    {
        if (Postmaster.Find() is not { } process)
        {
            return StepResult.Done("was not running");
        }
        if (!plan.IsUrgent)
        {
            if (plan.Checkpoint)
            {
                await TryCheckpointAsync(plan.EscalateAfter, cancellationToken);
            }
            await RunBeforeStopAsync(plan.BeforeStopLimit, cancellationToken);
            if (plan.Mode == StopMode.Fast)
            {
                await Heartbeat.CloseAsync().WaitAsync(cancellationToken);
            }
        }
        cancellationToken.ThrowIfCancellationRequested();
        var watch = new StopWatch(this, plan);
        if (plan.Mode == StopMode.Fast)
        {
            process.TrySignal(Signals.Interrupt);
            if (await WaitForExitAsync(process, plan.EscalateAfter, watch, cancellationToken))
            {
                return await FinishStopAsync(watch, "stopped", cancellationToken);
            }
            LogEscalating(plan.EscalateAfter!.Value.TotalSeconds);
        }
        process.TrySignal(Signals.Quit);
        var patience = plan.Mode == StopMode.Immediate ? plan.EscalateAfter ?? plan.KillAfter : plan.KillAfter;
        if (await WaitForExitAsync(process, patience, watch, cancellationToken))
        {
            return await FinishStopAsync(watch, "stopped at once, without a shutdown checkpoint", cancellationToken);
        }
        Postmaster.KillAll();
        return await WaitForExitAsync(process, s_killLimit, watch, cancellationToken)
            && await Postmaster.WaitForOrphansAsync(s_killLimit, cancellationToken)
            ? await FinishStopAsync(watch, "killed", cancellationToken)
            : StepResult.Failed($"postmaster {process.Pid} did not end, not even by SIGKILL");
    }

    /// <summary>
    /// Waits for the end, and meanwhile follows the shutdown through pg_control. False when the time is up.
    /// </summary>
    private async Task<bool> WaitForExitAsync(
        PidFd process, TimeSpan? limit, StopWatch watch, CancellationToken cancellationToken)
    {
        var start = Time.GetTimestamp();
        while (!process.HasExited)
        {
            await watch.LookAsync(cancellationToken);
            var elapsed = Time.GetElapsedTime(start);
            if (limit is { } end && elapsed >= end)
            {
                return false;
            }
            var pause = Task.Delay(elapsed < s_shortPollsFor ? s_shortPoll : s_longPoll, Time, cancellationToken);
            await await Task.WhenAny(process.Exited, pause);
        }
        return true;
    }

    private async Task<StepResult> FinishStopAsync(StopWatch watch, string detail, CancellationToken cancellationToken)
    {
        await watch.FinishAsync(cancellationToken);
        Memory.LastReport = null;
        return StepResult.Done(detail);
    }

    private async Task TryCheckpointAsync(TimeSpan? limit, CancellationToken cancellationToken)
    {
        using var bound =
            limit is { } time ? TimedToken.After(time, Time, cancellationToken) : TimedToken.With(cancellationToken);
        try
        {
            // Not longer than it may last: a server that hangs answers no cancellation either.
            if (await CheckpointAsync(bound.Token).WaitAsync(bound.Token) is { Ok: false } failed)
            {
                LogNoCheckpoint(failed.Detail);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            LogNoCheckpoint("it took too long");
        }
    }

    /// <inheritdoc/>
    public async Task<StepResult> CheckpointAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var session = await OpenLocalAsync(ServerSession.Patient, cancellationToken);
            await session.ExecuteAsync("CHECKPOINT", cancellationToken);
            return StepResult.Done("wrote a checkpoint");
        }
        catch (Exception error) when (error is NpgsqlException or IOException)
        {
            return StepResult.Failed($"wrote no checkpoint: {error.Message}");
        }
    }

    private async Task RunBeforeStopAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        if (limit <= TimeSpan.Zero)
        {
            return;
        }
        var config = (await EffectiveAsync(_context.Settings.Latest?.Role ?? Role.Replica, cancellationToken)).Config;
        if (config.BeforeStop is not { } text)
        {
            return;
        }
        try
        {
            var command = ProgramRunner.CommandFor(text) with { Timeout = limit, Grace = s_beforeStopGrace };
            var result = await Runner.RunHookAsync("before_stop", command, cancellationToken);
            if (!result.IsSuccess)
            {
                Runner.LogScriptFailed("before_stop", result.ToString());
            }
        }
        catch (Exception error) when (error is IOException or FormatException)
        {
            Runner.LogScriptFailed("before_stop", error.Message);
        }
    }

    /// <summary>Tells the two moments of a shutdown that others wait for, each once.</summary>
    private sealed class StopWatch(LocalPostgresServer server, StopPlan plan)
    {
        private bool _safe;
        private bool _written;

        /// <summary>
        /// The server sets "shutting down" when its last session has ended, and "shut down" when its last record is
        /// written; it still waits then until its standbys have that record.
        /// </summary>
        public async ValueTask LookAsync(CancellationToken cancellationToken)
        {
            if (_written || plan is { OnSafepoint: null, OnShutdownCheckpoint: null })
            {
                return;
            }
            var control = DataDirectoryState.Look(server.DataDirectory, inUse: true).Control?.File;
            if (control is { State: ControlState.ShuttingDown or ControlState.ShutDown
                or ControlState.ShutDownInRecovery })
            {
                await TellSafeAsync(cancellationToken);
            }
            if (control is { State: ControlState.ShutDown })
            {
                _written = true;
                if (plan.OnShutdownCheckpoint is { } tell)
                {
                    await tell(control.Checkpoint, cancellationToken);
                }
            }
        }

        public async ValueTask FinishAsync(CancellationToken cancellationToken)
        {
            await TellSafeAsync(cancellationToken);
            await LookAsync(cancellationToken);
        }

        private async ValueTask TellSafeAsync(CancellationToken cancellationToken)
        {
            if (!_safe)
            {
                _safe = true;
                if (plan.OnSafepoint is { } tell)
                {
                    await tell(cancellationToken);
                }
            }
        }
    }

    [LoggerMessage(EventId = 2040, Level = LogLevel.Warning,
        Message = "PostgreSQL has not stopped within {Seconds} s: stopping it at once")]
    private partial void LogEscalating(double seconds);

    [LoggerMessage(EventId = 2041, Level = LogLevel.Warning, Message = "No checkpoint before the stop: {Problem}")]
    private partial void LogNoCheckpoint(string problem);
}
