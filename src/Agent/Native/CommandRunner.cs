using System.Text;

namespace Routing.Agent.Native;

/// <summary>Runs programs to their end, with their output line by line, a timeout and cancellation.</summary>
/// <remarks>
/// Each command has a thread of its own that sleeps in poll on its two pipes, its pidfd and the wish to end it: a base
/// backup of hours must not hold threads of the pool, and .NET reads pipes on those. Commands are few, so the thread is
/// cheap.
/// </remarks>
internal sealed class CommandRunner(TimeProvider time)
{
    private const int MaximumCapturedCharacters = 1024 * 1024;

    /// <summary>
    /// Runs the command. <paramref name="onLine"/> is called on the command's thread, one call at a time.
    /// </summary>
    /// <exception cref="IOException">It could not be started.</exception>
    /// <exception cref="OperationCanceledException">
    /// Cancelled; the command's whole process group has been ended before.
    /// </exception>
    public async Task<CommandResult> RunAsync(
        Command command, Action<CommandLine>? onLine, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var timeout = command.Timeout is { } limit
            ? new CancellationTokenSource(limit, time)
            : new CancellationTokenSource();
        using var run = new CommandRun(command, onLine);
        using var onTimeout = timeout.Token.UnsafeRegister(static state => ((CommandRun)state!).RequestEnd(), run);
        using var onCancel = cancellationToken.UnsafeRegister(static state => ((CommandRun)state!).RequestEnd(), run);
        var exit = await run.Completion;
        if (run.EndRequested)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return new CommandResult(exit, TimedOut: timeout.IsCancellationRequested);
        }

        return new CommandResult(exit, TimedOut: false);
    }

    /// <summary>Runs the command and returns what it printed, up to about a million characters a stream.</summary>
    /// <exception cref="IOException">It could not be started.</exception>
    /// <exception cref="OperationCanceledException">
    /// Cancelled; the command's whole process group has been ended before.
    /// </exception>
    public async Task<CapturedResult> CaptureAsync(Command command, CancellationToken cancellationToken)
    {
        var output = new StringBuilder();
        var error = new StringBuilder();
        var result = await RunAsync(
            command,
            line =>
            {
                var into = line.IsError ? error : output;
                if (into.Length < MaximumCapturedCharacters)
                {
                    (into.Length == 0 ? into : into.Append('\n')).Append(line.Text);
                }
            },
            cancellationToken);
        return new CapturedResult(result, output.ToString(), error.ToString());
    }
}
