using System.Text;

namespace Routing.Cli.Terminal;

/// <summary>Where answers come from and output goes: the real console, or a test's readers and writers.</summary>
/// <param name="input">Answers to prompts.</param>
/// <param name="output">Tables, prompts and results.</param>
/// <param name="error">Errors, hints and logs.</param>
/// <param name="isTerminal">
/// Whether a person sees <paramref name="output"/>: only then is anything drawn in place.
/// </param>
/// <param name="useColours">Whether <paramref name="error"/> may carry colours.</param>
/// <param name="hasColours">Whether <paramref name="output"/> may carry colours.</param>
/// <param name="readsKeys">Whether a person types the input at this process's console.</param>
internal sealed class Screen(
    TextReader input, TextWriter output, TextWriter error, bool isTerminal, bool useColours, bool hasColours = false,
    bool readsKeys = false)
{
    public TextWriter Output => output;

    public TextWriter Error => error;

    /// <summary>Whether a person sees the output.</summary>
    public bool IsTerminal => isTerminal;

    /// <summary>Whether the output may carry colours.</summary>
    public bool HasColours => hasColours;

    public static Screen OfProcess()
    {
        var wantsColours = string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
        return new Screen(
            Console.In,
            Console.Out,
            Console.Error,
            isTerminal: !Console.IsOutputRedirected,
            useColours: wantsColours && !Console.IsErrorRedirected,
            hasColours: wantsColours && !Console.IsOutputRedirected,
            readsKeys: !Console.IsInputRedirected);
    }

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

    /// <summary>Reads one line; null at the end of the input.</summary>
    /// <remarks>A console read can't be cancelled: it is left behind when the token ends the wait.</remarks>
    public Task<string?> ReadLineAsync(CancellationToken cancellationToken)
    {
        output.Flush();
        return Task.Run(input.ReadLine, CancellationToken.None).WaitAsync(cancellationToken);
    }

    /// <summary>Reads one line without showing it, where a person types it; null at the end of the input.</summary>
    public Task<string?> ReadSecretAsync(CancellationToken cancellationToken)
    {
        output.Flush();
        return readsKeys ? Task.Run(ReadKeys, CancellationToken.None).WaitAsync(cancellationToken)
            : ReadLineAsync(cancellationToken);
    }

    /// <summary>Reads the input to its end.</summary>
    public Task<string> ReadToEndAsync(CancellationToken cancellationToken) =>
        Task.Run(input.ReadToEnd, CancellationToken.None).WaitAsync(cancellationToken);

    private static string? ReadKeys()
    {
        var text = new StringBuilder();
        while (true)
        {
            var key = Console.ReadKey(intercept: true);
            switch (key.Key)
            {
                case ConsoleKey.Enter:
                    return text.ToString();
                case ConsoleKey.D when key.Modifiers == ConsoleModifiers.Control && text.Length == 0:
                    return null;
                case ConsoleKey.Backspace when text.Length > 0:
                    text.Length--;
                    break;
                default:
                    if (!char.IsControl(key.KeyChar))
                    {
                        text.Append(key.KeyChar);
                    }
                    break;
            }
        }
    }

    private string Paint(string text, string colour) => useColours ? $"\e[{colour}m{text}\e[0m" : text;
}
