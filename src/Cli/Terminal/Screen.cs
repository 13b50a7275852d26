namespace Routing.Cli.Terminal;

/// <summary>Where answers come from and output goes: the real console, or a test's readers and writers.</summary>
/// <param name="input">Answers to prompts.</param>
/// <param name="output">Tables, prompts and results.</param>
/// <param name="error">Errors, hints and logs.</param>
/// <param name="isTerminal">Whether a person sees <paramref name="output"/>: only then is the screen ever cleared.</param>
/// <param name="useColours">Whether <paramref name="error"/> may carry colours.</param>
internal sealed class Screen(TextReader input, TextWriter output, TextWriter error, bool isTerminal, bool useColours)
{
    private const string ClearSequence = "\e[H\e[2J\e[3J";

    public TextWriter Output => output;

    public TextWriter Error => error;

    public static Screen OfProcess() => new(
        Console.In,
        Console.Out,
        Console.Error,
        isTerminal: !Console.IsOutputRedirected,
        useColours: !Console.IsErrorRedirected && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")));

    public void WriteLine(string text) => output.WriteLine(text);

    public void WriteError(string message, string? hint = null)
    {
        error.WriteLine($"{Paint("Error:", "31;1")} {message}");
        if (hint is not null)
        {
            error.WriteLine($"{Paint("Hint:", "36")} {hint}");
        }
    }

    public void WriteHint(string hint) => error.WriteLine($"{Paint("Hint:", "36")} {hint}");

    public void Clear()
    {
        if (isTerminal)
        {
            output.Write(ClearSequence);
        }
    }

    /// <summary>Reads one line; null at the end of the input.</summary>
    /// <remarks>A console read can't be cancelled: it is left behind when the token ends the wait.</remarks>
    public Task<string?> ReadLineAsync(CancellationToken cancellationToken)
    {
        output.Flush();
        return Task.Run(input.ReadLine, CancellationToken.None).WaitAsync(cancellationToken);
    }

    private string Paint(string text, string colour) => useColours ? $"\e[{colour}m{text}\e[0m" : text;
}
