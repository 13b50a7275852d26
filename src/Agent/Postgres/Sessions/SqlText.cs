namespace Routing.Agent.Postgres.Sessions;

/// <summary>Quoting, and the parting of a text into statements.</summary>
internal static class SqlText
{
    /// <summary>An identifier between quotes.</summary>
    public static string Identifier(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    /// <summary>A string literal that means the same whatever standard_conforming_strings says.</summary>
    public static string Literal(string value)
    {
        var quoted = value.Replace("'", "''", StringComparison.Ordinal);
        return quoted.Contains('\\', StringComparison.Ordinal)
            ? $"E'{quoted.Replace("\\", "\\\\", StringComparison.Ordinal)}'"
            : $"'{quoted}'";
    }

    /// <summary>The statements of a text, without their semicolons; comments alone are no statement.</summary>
    public static List<string> Statements(string text)
    {
        var statements = new List<string>();
        var start = 0;
        var words = 0;
        var blocks = new AtomicBlocks();
        foreach (var token in Tokens(text))
        {
            if (token.Kind == SqlTokenKind.Symbol && text[token.Start] == ';' && !blocks.Open)
            {
                Add(token.Start);
                start = token.End;
                words = 0;
                blocks = new AtomicBlocks();
            }
            else if (token.Kind != SqlTokenKind.Comment)
            {
                words++;
                blocks.See(token.Kind == SqlTokenKind.Word ? text[token.Start..token.End] : "");
            }
        }
        Add(text.Length);
        return statements;

        void Add(int end)
        {
            if (words > 0)
            {
                statements.Add(text[start..end].Trim());
            }
        }
    }

    /// <summary>The tokens, in order; blanks are skipped.</summary>
    /// <remarks>
    /// Knows what can hide a semicolon: strings with quotes, escapes or dollars, quoted names, comments (nested).
    /// </remarks>
    public static IEnumerable<SqlToken> Tokens(string text)
    {
        var at = 0;
        while (at < text.Length)
        {
            var start = at;
            var character = text[at];
            if (char.IsWhiteSpace(character))
            {
                at++;
                continue;
            }
            SqlTokenKind kind;
            if (Starts("--"))
            {
                var end = text.IndexOf('\n', at);
                (at, kind) = (end < 0 ? text.Length : end, SqlTokenKind.Comment);
            }
            else if (Starts("/*"))
            {
                (at, kind) = (EndOfComment(text, at), SqlTokenKind.Comment);
            }
            else if (character == '\'')
            {
                (at, kind) = (EndOfQuoted(text, at, '\'', false), SqlTokenKind.Text);
            }
            else if (character is 'e' or 'E' && at + 1 < text.Length && text[at + 1] == '\'')
            {
                (at, kind) = (EndOfQuoted(text, at + 1, '\'', true), SqlTokenKind.Text);
            }
            else if (character == '"')
            {
                (at, kind) = (EndOfQuoted(text, at, '"', false), SqlTokenKind.QuotedName);
            }
            else if (character == '$' && DollarTag(text, at) is { } tag)
            {
                var end = text.IndexOf(tag, at + tag.Length, StringComparison.Ordinal);
                (at, kind) = (end < 0 ? text.Length : end + tag.Length, SqlTokenKind.Text);
            }
            else if (char.IsLetter(character) || character == '_')
            {
                while (at < text.Length && (char.IsLetterOrDigit(text[at]) || text[at] is '_' or '$'))
                {
                    at++;
                }
                kind = SqlTokenKind.Word;
            }
            else
            {
                at++;
                kind = SqlTokenKind.Symbol;
            }
            yield return new SqlToken(kind, start, at);
        }

        bool Starts(string prefix) => string.CompareOrdinal(text, at, prefix, 0, prefix.Length) == 0;
    }

    private static int EndOfComment(string text, int at)
    {
        var depth = 0;
        while (at < text.Length)
        {
            if (string.CompareOrdinal(text, at, "/*", 0, 2) == 0)
            {
                depth++;
                at += 2;
            }
            else if (string.CompareOrdinal(text, at, "*/", 0, 2) == 0)
            {
                depth--;
                at += 2;
                if (depth == 0)
                {
                    return at;
                }
            }
            else
            {
                at++;
            }
        }
        return at;
    }

    private static int EndOfQuoted(string text, int at, char quote, bool backslashes)
    {
        for (at++; at < text.Length; at++)
        {
            if (backslashes && text[at] == '\\')
            {
                at++;
            }
            else if (text[at] == quote)
            {
                if (at + 1 >= text.Length || text[at + 1] != quote)
                {
                    return at + 1;
                }
                at++;
            }
        }
        return text.Length;
    }

    private static string? DollarTag(string text, int at)
    {
        var end = at + 1;
        while (end < text.Length && (char.IsLetterOrDigit(text[end]) || text[end] == '_'))
        {
            end++;
        }
        var isTag = end < text.Length && text[end] == '$' && (end == at + 1 || !char.IsDigit(text[at + 1]));
        return isTag ? text[at..(end + 1)] : null;
    }

    /// <summary>BEGIN ATOMIC … END of a function body: the semicolons inside belong to it.</summary>
    private struct AtomicBlocks
    {
        private string _previous = "";
        private int _depth;

        public AtomicBlocks()
        {
        }

        public readonly bool Open => _depth > 0;

        public void See(string word)
        {
            word = word.ToUpperInvariant();
            if (_depth == 0)
            {
                _depth = word == "ATOMIC" && _previous == "BEGIN" ? 1 : 0;
            }
            else if (word == "CASE")
            {
                _depth++;
            }
            else if (word == "END")
            {
                _depth--;
            }
            _previous = word;
        }
    }
}

/// <summary>What a token is.</summary>
internal enum SqlTokenKind
{
    /// <summary>A keyword or a plain name.</summary>
    Word,

    /// <summary>A name between quotes.</summary>
    QuotedName,

    /// <summary>A string.</summary>
    Text,

    /// <summary>A comment.</summary>
    Comment,

    /// <summary>Any other character.</summary>
    Symbol,
}

/// <summary>A piece of SQL.</summary>
internal readonly record struct SqlToken(SqlTokenKind Kind, int Start, int End);
