using Microsoft.Extensions.Logging;
using Routing.Agent.Native;

namespace Routing.Agent.Postgres.Programs;

/// <summary>
/// Runs the user's callbacks in the background: one at a time, a new one ends the running one; reloads have a slot of
/// their own.
/// </summary>
internal sealed partial class CallbackRunner(CommandRunner commands, ILogger logger) : IAsyncDisposable
{
    private const string OnReload = "on_reload";

    private readonly Lock _lock = new();
    private Slot _main = Slot.Free;
    private Slot _reload = Slot.Free;

    /// <summary>Starts it; what ran before in its slot is ended first.</summary>
    public void Start(string action, Command command)
    {
        lock (_lock)
        {
            ref var slot = ref action == OnReload ? ref _reload : ref _main;
            var previous = slot;
            var cancellation = new CancellationTokenSource();
            slot = new Slot(cancellation, RunAsync(previous, action, command, cancellation.Token));
        }
    }

    public async ValueTask DisposeAsync()
    {
        Slot[] slots;
        lock (_lock)
        {
            slots = [_main, _reload];
        }
        foreach (var slot in slots)
        {
            await slot.Cancellation.CancelAsync();
            await slot.Run;
            slot.Cancellation.Dispose();
        }
    }

    private async Task RunAsync(Slot previous, string action, Command command, CancellationToken cancellationToken)
    {
        await Task.Yield();
        await previous.Cancellation.CancelAsync();
        await previous.Run;
        previous.Cancellation.Dispose();
        try
        {
            var result = await commands.RunAsync(command, line => LogOutput(action, line.Text), cancellationToken);
            if (result.IsSuccess)
            {
                LogDone(action);
            }
            else
            {
                LogFailed(action, command.ToString(), result.ToString());
            }
        }
        catch (OperationCanceledException)
        {
            LogEnded(action);
        }
        catch (Exception error)
        {
            // Whatever has failed: the next callback waits for the end of this one.
            LogFailed(action, command.ToString(), error.Message);
        }
    }

    private sealed record Slot(CancellationTokenSource Cancellation, Task Run)
    {
        public static Slot Free => new(new CancellationTokenSource(), Task.CompletedTask);
    }

    [LoggerMessage(EventId = 2020, Level = LogLevel.Debug, Message = "Callback {Action}: {Text}")]
    private partial void LogOutput(string action, string text);

    [LoggerMessage(EventId = 2021, Level = LogLevel.Debug, Message = "Callback {Action} is done")]
    private partial void LogDone(string action);

    [LoggerMessage(
        EventId = 2022, Level = LogLevel.Warning, Message = "Callback {Action} ({Command}) failed: {Problem}")]
    private partial void LogFailed(string action, string command, string problem);

    [LoggerMessage(
        EventId = 2023, Level = LogLevel.Information, Message = "Callback {Action} was ended for a newer one")]
    private partial void LogEnded(string action);
}
