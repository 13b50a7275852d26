using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace Routing.Ha.Synchronous;

/// <summary>How <c>synchronous_standby_names</c> chooses among its names.</summary>
public enum SyncMethod
{
    /// <summary>Commits wait for no standby.</summary>
    None,

    /// <summary>The first so many of the list that are connected.</summary>
    First,

    /// <summary>Any so many of the list.</summary>
    Any,
}

/// <summary>The content of <c>synchronous_standby_names</c>.</summary>
/// <param name="Method">How it chooses.</param>
/// <param name="Count">How many standbys a commit waits for.</param>
/// <param name="Names">The names without quotes; <c>*</c> stands for every standby.</param>
public sealed record SyncStandbyNames(SyncMethod Method, int Count, ImmutableSortedSet<string> Names)
{
    /// <summary>
    /// A name that no standby has: in strict mode commits wait for it when there is no standby to wait for.
    /// </summary>
    public const string Placeholder = "__patroni_strict_sync_replica_placeholder__";

    private const string Every = "*";

    /// <summary>The parameter is not set.</summary>
    public static readonly SyncStandbyNames None = new(SyncMethod.None, 0, NameSet.Empty);

    /// <summary>
    /// The names of standbys that can exist; the list is of no use for membership when it holds <c>*</c>.
    /// </summary>
    public ImmutableSortedSet<string> Standbys => Names.Contains(Every) ? NameSet.Empty : Names.Remove(Placeholder);

    /// <summary>Whether the only name is the placeholder.</summary>
    public bool IsPlaceholder => Names.Count == 1 && Names.Contains(Placeholder);

    /// <summary>The names of which each one holds every commit that was acknowledged under this value.</summary>
    public ImmutableSortedSet<string> Certain => Count >= Names.Count ? Standbys : NameSet.Empty;

    /// <summary>Whether both mean the same, whatever their spelling.</summary>
    public bool Means(SyncStandbyNames other) =>
        Method == other.Method && Count == other.Count && Names.SetEquals(other.Names);

    /// <summary>
    /// The text for priority mode: <c>name</c>, or <c>n (a,b)</c> which waits for each of them; null: no standby.
    /// </summary>
    public static string? ForPriority(ImmutableSortedSet<string> names) => names.Count switch
    {
        0 => null,
        1 => Quote(names[0]),
        _ => string.Create(CultureInfo.InvariantCulture, $"{names.Count} ({List(names)})"),
    };

    /// <summary>The text for quorum mode: <c>ANY k (a,b)</c>; null: no standby.</summary>
    public static string? ForQuorum(int count, ImmutableSortedSet<string> names) => names.IsEmpty
        ? null
        : string.Create(CultureInfo.InvariantCulture, $"ANY {count} ({List(names)})");

    /// <summary>Reads the parameter's text.</summary>
    /// <exception cref="FormatException">PostgreSQL would not accept the text.</exception>
    public static SyncStandbyNames Parse(string? text) => TryParse(text, out var names)
        ? names
        : throw new FormatException($"'{text}' is not a value of synchronous_standby_names.");

    /// <summary>Reads the parameter's text.</summary>
    /// <returns>False when PostgreSQL would not accept the text.</returns>
    public static bool TryParse(string? text, [NotNullWhen(true)] out SyncStandbyNames? result)
    {
        if (string.IsNullOrEmpty(text))
        {
            result = None;
            return true;
        }
        result = null;
        if (!TryTokens(text, out var tokens))
        {
            return false;
        }
        if (tokens.Count == 0)
        {
            result = None;
            return true;
        }
        var method = SyncMethod.First;
        var next = 0;
        if (tokens.Count > 1 && tokens[1].IsWord && tokens[0].IsKeyword("ANY"))
        {
            method = SyncMethod.Any;
            next = 1;
        }
        else if (tokens.Count > 1 && tokens[1].IsWord && tokens[0].IsKeyword("FIRST"))
        {
            next = 1;
        }
        var count = 1;
        var list = tokens.AsEnumerable();
        if (tokens.Count > next + 1 && tokens[next + 1].Text == "(" && !tokens[next + 1].IsWord)
        {
            if (tokens[next].IsQuoted
                || !int.TryParse(tokens[next].Text, NumberStyles.None, CultureInfo.InvariantCulture, out count)
                || count == 0
                || tokens[^1].Text != ")" || tokens[^1].IsWord)
            {
                return false;
            }
            list = tokens.Skip(next + 2).SkipLast(1);
        }
        else if (next == 1)
        {
            return false;
        }
        if (!TryNames([.. list], out var names))
        {
            return false;
        }
        result = new SyncStandbyNames(method, count, names);
        return true;
    }

    private static bool TryNames(List<Token> tokens, out ImmutableSortedSet<string> names)
    {
        names = NameSet.Empty;
        if (tokens.Count % 2 == 0)
        {
            return false;
        }
        for (var i = 0; i < tokens.Count; i++)
        {
            if (i % 2 == 0 ? !tokens[i].IsWord : tokens[i].IsWord || tokens[i].Text != ",")
            {
                return false;
            }
            if (i % 2 == 0)
            {
                names = names.Add(tokens[i].Text);
            }
        }
        return true;
    }

    private static bool TryTokens(string text, out List<Token> tokens)
    {
        tokens = [];
        for (var i = 0; i < text.Length;)
        {
            var c = text[i];
            if (char.IsWhiteSpace(c))
            {
                i++;
            }
            else if (c is '(' or ')' or ',')
            {
                tokens.Add(new Token(c.ToString(), IsWord: false, IsQuoted: false));
                i++;
            }
            else if (c == '*')
            {
                tokens.Add(new Token(Every, IsWord: true, IsQuoted: false));
                i++;
            }
            else if (c == '"')
            {
                var word = new StringBuilder();
                for (i++; ; i++)
                {
                    if (i >= text.Length)
                    {
                        return false;
                    }
                    if (text[i] != '"')
                    {
                        word.Append(text[i]);
                    }
                    else if (i + 1 < text.Length && text[i + 1] == '"')
                    {
                        word.Append('"');
                        i++;
                    }
                    else
                    {
                        break;
                    }
                }
                i++;
                tokens.Add(new Token(word.ToString(), IsWord: true, IsQuoted: true));
            }
            else if (IsWordPart(c))
            {
                var start = i;
                while (i < text.Length && IsWordPart(text[i]))
                {
                    i++;
                }
                tokens.Add(new Token(text[start..i], IsWord: true, IsQuoted: false));
            }
            else
            {
                return false;
            }
        }
        return true;
    }

    private static string List(ImmutableSortedSet<string> names) => string.Join(',', names.Select(Quote));

    private static string Quote(string name)
    {
        var plain = name.Length > 0
            && (char.IsAsciiLetter(name[0]) || name[0] == '_')
            && name.All(c => char.IsAscii(c) && IsWordPart(c))
            && !string.Equals(name, "first", StringComparison.OrdinalIgnoreCase)
            && !string.Equals(name, "any", StringComparison.OrdinalIgnoreCase);
        return plain ? name : $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }

    private static bool IsWordPart(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '$' || c >= 0x80;

    private readonly record struct Token(string Text, bool IsWord, bool IsQuoted)
    {
        public bool IsKeyword(string word) =>
            IsWord && !IsQuoted && string.Equals(Text, word, StringComparison.OrdinalIgnoreCase);
    }
}
