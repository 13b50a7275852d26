using Microsoft.Extensions.Logging;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Files;
using Routing.Ha;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Makes a primary of a running standby.</summary>
internal sealed partial class Promotion(ServerContext context)
{
    private static readonly TimeSpan s_promotePoll = TimeSpan.FromMilliseconds(2);

    /// <summary>The leader key is held meanwhile, and nobody else can take over.</summary>
    private static readonly TimeSpan s_prePromoteLimit = TimeSpan.FromMinutes(5);

    private readonly ILogger _logger = context.Logger;

    /// <summary>Runs pre_promote, promotes, and waits until the server is a primary.</summary>
    /// <param name="usedTimeline">
    /// The highest timeline that any member may have opened: the new one is above it.
    /// </param>
    /// <param name="timeout">How long to wait until it is a primary.</param>
    /// <param name="cancellationToken">Gives up before the point of no return.</param>
    public async Task<StepResult> PromoteAsync(uint usedTimeline, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var config = (await context.Settings.ForLatestRoleAsync(cancellationToken)).Config;
        if (config.PrePromote is { } command
            && await RunPrePromoteAsync(command, cancellationToken) is { Ok: false } refused)
        {
            return refused;
        }
        cancellationToken.ThrowIfCancellationRequested();   // the point of no return
        if (context.Postmaster.Find() is not { } process)
        {
            return StepResult.Failed("is not running");
        }
        var start = context.Time.GetTimestamp();
        await TimelineReservations.MakeAsync(context.DataDirectory, usedTimeline);
        if (!IsInProduction)
        {
            context.Memory.PromotionAskedOf = process.Pid;
            // What pg_promote() does, without a connection: the startup process looks for the file on the signal.
            await File.WriteAllTextAsync(Path.Combine(context.DataDirectory, "promote"), "", CancellationToken.None);
            process.TrySignal(Signals.User1);
        }
        while (!IsInProduction)
        {
            if (process.HasExited)
            {
                return StepResult.Failed("ended during the promotion");
            }
            if (context.Time.GetElapsedTime(start) >= timeout)
            {
                return StepResult.Failed(
                    $"is still in recovery {timeout.TotalSeconds:0} s after the promotion was asked for");
            }
            await Task.Delay(s_promotePoll, context.Time, cancellationToken);
        }
        RestorePlace.End(context.DataDirectory);
        var milliseconds = context.Time.GetElapsedTime(start).TotalMilliseconds;
        LogPromoted(milliseconds);
        return StepResult.Done($"is a primary after {milliseconds:0} ms");
    }

    private bool IsInProduction =>
        DataDirectoryState.Look(context.DataDirectory, inUse: true).Control?.File.State == ControlState.InProduction;

    private async Task<StepResult> RunPrePromoteAsync(string text, CancellationToken cancellationToken)
    {
        try
        {
            var command = ProgramRunner.CommandFor(text) with { Timeout = s_prePromoteLimit };
            var result = await context.Runner.RunHookAsync("pre_promote", command, cancellationToken);
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
