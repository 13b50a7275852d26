using System.Globalization;

namespace Routing.Cli.Terminal;

/// <summary>Questions to the operator.</summary>
internal sealed class Prompts(Screen screen)
{
    /// <summary>Asks for a text. Without a default the question is repeated until something is entered.</summary>
    /// <param name="question">The question, without colon.</param>
    /// <param name="defaultAnswer">Taken for an empty answer, and shown in brackets.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="AbortedException">The input ended.</exception>
    public async Task<string> AskAsync(string question, string? defaultAnswer, CancellationToken cancellationToken)
    {
        var shown = defaultAnswer is null ? "" : $" [{defaultAnswer}]";
        while (true)
        {
            var answer = (await ReadAsync($"{question}{shown}: ", cancellationToken)).Trim();
            if (answer.Length > 0)
            {
                return answer;
            }
            if (defaultAnswer is not null)
            {
                return defaultAnswer;
            }
        }
    }

    /// <summary>Asks for a whole number, until one is entered.</summary>
    /// <exception cref="AbortedException">The input ended.</exception>
    public async Task<int> AskNumberAsync(string question, CancellationToken cancellationToken)
    {
        while (true)
        {
            var answer = await AskAsync(question, defaultAnswer: null, cancellationToken);
            if (int.TryParse(answer, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                return number;
            }
            screen.WriteLine($"Error: '{answer}' is not a valid integer.");
        }
    }

    /// <summary>Asks for yes or no; an empty answer means no.</summary>
    /// <exception cref="AbortedException">The input ended.</exception>
    public async Task<bool> ConfirmAsync(string question, CancellationToken cancellationToken)
    {
        while (true)
        {
            switch ((await ReadAsync($"{question} [y/N]: ", cancellationToken)).Trim().ToLowerInvariant())
            {
                case "y" or "yes" or "true" or "t" or "on" or "1":
                    return true;
                case "n" or "no" or "false" or "f" or "off" or "0" or "":
                    return false;
                default:
                    screen.WriteLine("Error: invalid input");
                    break;
            }
        }
    }

    /// <summary>Asks for a password, which is not shown.</summary>
    /// <exception cref="AbortedException">The input ended.</exception>
    public async Task<string> AskSecretAsync(string question, CancellationToken cancellationToken)
    {
        screen.Output.Write($"{question}: ");
        var answer = await screen.ReadSecretAsync(cancellationToken) ?? throw new AbortedException();
        screen.WriteLine("");
        return answer;
    }

    private async Task<string> ReadAsync(string prompt, CancellationToken cancellationToken)
    {
        screen.Output.Write(prompt);
        return await screen.ReadLineAsync(cancellationToken) ?? throw new AbortedException();
    }
}
