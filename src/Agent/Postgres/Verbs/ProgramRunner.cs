using Microsoft.Extensions.Logging;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Programs;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Runs PostgreSQL's programs and the user's scripts, and logs what they print.</summary>
internal sealed partial class ProgramRunner(CommandRunner commands, ILogger logger)
{
    private readonly ILogger _logger = logger;

    /// <summary>The command of a user's setting, with arguments of the agent's behind those of the setting.</summary>
    /// <exception cref="FormatException">The text has no word, or a quote that does not end.</exception>
    public static Command CommandFor(string text, params ReadOnlySpan<string> arguments)
    {
        var words = ShellWords.Split(text);
        return words.Count == 0
            ? throw new FormatException("The command is empty.")
            : new Command(words[0], [.. words.Skip(1), .. arguments]);
    }

    /// <summary>
    /// Runs a user's script. Its output goes to the agent's log alone, since it may hold secrets: progress and answer
    /// are public.
    /// </summary>
    /// <param name="name">The script.</param>
    /// <param name="command">How it is called.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <param name="onLine">Sees each line.</param>
    /// <exception cref="IOException">It could not be run.</exception>
    public async Task<StepResult> RunScriptAsync(
        string name, Command command, CancellationToken cancellationToken, Action<string>? onLine = null)
    {
        var result = await commands.RunAsync(
            command,
            line =>
            {
                LogProgram(name, line.Text);
                onLine?.Invoke(line.Text);
            },
            cancellationToken);
        return result.IsSuccess
            ? StepResult.Done($"{name} done")
            : StepResult.Failed($"{name} failed with {result}; the agent's log has what it printed");
    }

    /// <summary>Runs a program of PostgreSQL's; its last lines go into the answer when it fails.</summary>
    /// <param name="name">The program.</param>
    /// <param name="command">How it is called.</param>
    /// <param name="progress">Gets each line.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <param name="onLine">
    /// Sees each line; true: it has dealt with it, and the line is neither logged nor part of the answer.
    /// </param>
    /// <exception cref="IOException">It could not be run.</exception>
    public async Task<StepResult> RunAsync(
        string name, Command command, IProgress<string> progress, CancellationToken cancellationToken,
        Func<string, bool>? onLine = null)
    {
        var last = new Queue<string>();
        var result = await commands.RunAsync(
            command,
            line =>
            {
                if (onLine?.Invoke(line.Text) == true)
                {
                    return;
                }
                LogProgram(name, line.Text);
                progress.Report(line.Text);
                last.Enqueue(line.Text);
                if (last.Count > 5)
                {
                    last.Dequeue();
                }
            },
            cancellationToken);
        return result.IsSuccess
            ? StepResult.Done($"{name} done")
            : StepResult.Failed($"{name} failed with {result}: {string.Join(" | ", last)}");
    }

    /// <summary>Runs a script that belongs to a step of the server: <c>pre_promote</c>, <c>before_stop</c>.</summary>
    /// <exception cref="IOException">It could not be run.</exception>
    public Task<CommandResult> RunHookAsync(string name, Command command, CancellationToken cancellationToken) =>
        commands.RunAsync(command, line => LogScript(name, line.Text), cancellationToken);

    [LoggerMessage(EventId = 2071, Level = LogLevel.Information, Message = "{Program}: {Text}")]
    private partial void LogProgram(string program, string text);

    [LoggerMessage(EventId = 2042, Level = LogLevel.Information, Message = "{Script}: {Text}")]
    private partial void LogScript(string script, string text);

    [LoggerMessage(EventId = 2043, Level = LogLevel.Warning, Message = "{Script} failed: {Problem}")]
    public partial void LogScriptFailed(string script, string problem);
}
