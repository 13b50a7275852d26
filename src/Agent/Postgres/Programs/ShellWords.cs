using System.Text;

namespace Routing.Agent.Postgres.Programs;

/// <summary>
/// Splits a configured command line into words as a shell does: blanks, quotes, backslashes; nothing is expanded.
/// </summary>
internal static class ShellWords
{
    private const char None = '\0';

    /// <exception cref="FormatException">A quote is not closed.</exception>
    public static List<string> Split(string text)
    {
        var words = new List<string>();
        StringBuilder? word = null;
        var quote = None;
        for (var at = 0; at < text.Length; at++)
        {
            var character = text[at];
            if (quote == None && char.IsWhiteSpace(character))
            {
                Finish();
                continue;
            }
            word ??= new StringBuilder();
            if (character == quote)
            {
                quote = None;
            }
            else if (quote == None && character is '\'' or '"')
            {
                quote = character;
            }
            else if (character == '\\' && quote != '\'' && at + 1 < text.Length
                && (quote == None || text[at + 1] is '"' or '\\'))
            {
                word.Append(text[++at]);
            }
            else
            {
                word.Append(character);
            }
        }
        Finish();
        return quote == None
            ? words
            : throw new FormatException($"The command '{text}' has a quote ({quote}) that is not closed.");

        void Finish()
        {
            if (word is not null)
            {
                words.Add(word.ToString());
                word = null;
            }
        }
    }
}
