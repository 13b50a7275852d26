using Microsoft.Extensions.Logging;
using Routing.Agent.Native;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Stops the server.</summary>
internal sealed partial class ServerStop(ServerContext context, ServerCheckpoint checkpoint)
{
    private static readonly TimeSpan s_beforeStopGrace = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_killLimit = TimeSpan.FromSeconds(30);

    private readonly ILogger _logger = context.Logger;

    /// <summary>Stops it. Done also when there was none.</summary>
    public async Task<StepResult> StopAsync(StopPlan plan, CancellationToken cancellationToken)
    {
        if (context.Postmaster.Find() is not { } process)
        {
            return StepResult.Done("was not running");
        }
        if (!plan.IsUrgent)
        {
            if (plan.Checkpoint)
            {
                await TryCheckpointAsync(plan.CheckpointLimit, cancellationToken);
            }
            await RunBeforeStopAsync(plan.BeforeStopLimit, cancellationToken);
            if (plan.Mode == StopMode.Fast)
            {
                await context.Heartbeat.CloseAsync().WaitAsync(cancellationToken);
            }
        }
        cancellationToken.ThrowIfCancellationRequested();
        var watch = new ShutdownWatch(context.DataDirectory, plan);
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
        context.Postmaster.KillAll();
        return await WaitForExitAsync(process, s_killLimit, watch, cancellationToken)
            && await context.Postmaster.WaitForOrphansAsync(s_killLimit, cancellationToken)
            ? await FinishStopAsync(watch, "killed", cancellationToken)
            : StepResult.Failed($"postmaster {process.Pid} did not end, not even by SIGKILL");
    }

    /// <summary>
    /// Waits for the end, and meanwhile follows the shutdown through pg_control. False when the time is up.
    /// </summary>
    private async Task<bool> WaitForExitAsync(
        PidFd process, TimeSpan? limit, ShutdownWatch watch, CancellationToken cancellationToken)
    {
        var start = context.Time.GetTimestamp();
        while (!process.HasExited)
        {
            await watch.LookAsync(cancellationToken);
            var elapsed = context.Time.GetElapsedTime(start);
            if (limit is { } end && elapsed >= end)
            {
                return false;
            }
            var pause = Task.Delay(ServerWait.Pause(elapsed), context.Time, cancellationToken);
            await await Task.WhenAny(process.Exited, pause);
        }
        return true;
    }

    private async Task<StepResult> FinishStopAsync(
        ShutdownWatch watch, string detail, CancellationToken cancellationToken)
    {
        await watch.FinishAsync(cancellationToken);
        context.Memory.LastReport = null;
        return StepResult.Done(detail);
    }

    private async Task TryCheckpointAsync(TimeSpan? limit, CancellationToken cancellationToken)
    {
        using var bound = limit is { } time
            ? TimedToken.After(time, context.Time, cancellationToken)
            : TimedToken.With(cancellationToken);
        try
        {
            // Not longer than it may last: a server that hangs answers no cancellation either.
            if (await checkpoint.WriteAsync(bound.Token).WaitAsync(bound.Token) is { Ok: false } failed)
            {
                LogNoCheckpoint(failed.Detail);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            LogNoCheckpoint("it took too long");
        }
    }

    private async Task RunBeforeStopAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        if (limit <= TimeSpan.Zero)
        {
            return;
        }
        var config = (await context.Settings.ForLatestRoleAsync(cancellationToken)).Config;
        if (config.BeforeStop is not { } text)
        {
            return;
        }
        try
        {
            var command = ProgramRunner.CommandFor(text) with { Timeout = limit, Grace = s_beforeStopGrace };
            var result = await context.Runner.RunHookAsync("before_stop", command, cancellationToken);
            if (!result.IsSuccess)
            {
                context.Runner.LogScriptFailed("before_stop", result.ToString());
            }
        }
        catch (Exception error) when (error is IOException or FormatException)
        {
            context.Runner.LogScriptFailed("before_stop", error.Message);
        }
    }

    [LoggerMessage(EventId = 2040, Level = LogLevel.Warning,
        Message = "PostgreSQL has not stopped within {Seconds} s: stopping it at once")]
    private partial void LogEscalating(double seconds);

    [LoggerMessage(
        EventId = 2041, Level = LogLevel.Warning, Message = "The checkpoint before the stop failed: {Problem}")]
    private partial void LogNoCheckpoint(string problem);
}
