using System.Globalization;
using System.Text.RegularExpressions;

namespace Routing.TestKit;

/// <summary>
/// A setting as a document lists it: <c>- `key` (default VALUE UNIT, RANGE; R letter): text</c>.
/// </summary>
/// <param name="Path">Its whole path, for example <c>log.level</c>.</param>
/// <param name="Default">The default's value without backticks; null: the document names none.</param>
/// <param name="Unit">The word behind a number, such as <c>s</c> or <c>bytes</c>; empty: none.</param>
/// <param name="TakesUnits">Whether it says <c>*with unit*</c>.</param>
/// <param name="Least">The least value by the range; null: none is named.</param>
/// <param name="Most">The greatest value by the range; null: none is named.</param>
/// <param name="Reload">The letter behind R, or the first letter of what stands behind the colon; null: none.</param>
/// <param name="Text">The whole entry.</param>
public sealed partial record DocumentedSetting(
    string Path, string? Default, string Unit, bool TakesUnits, decimal? Least, decimal? Most, char? Reload,
    string Text)
{
    /// <summary>The default is told in words, such as <c>that of `listen`</c> or <c>none</c>.</summary>
    public bool IsDescribed => Default is "none" or "see" or "the" or "that" or "those" or "by" or "from" or "as"
        or "what" or "everybody" or "required" or "console";

    /// <summary>The entries of a part of a document.</summary>
    /// <param name="section">The part's text.</param>
    /// <param name="prefix">What stands before each key in its path, with a dot at the end; empty: nothing.</param>
    public static IReadOnlyList<DocumentedSetting> Of(string section, string prefix)
    {
        var forAll = ReloadOfAll().Match(section) is { Success: true } match ? match.Groups[1].Value[0] : (char?)null;
        return
        [
            .. from Match entry in Entry().Matches(section)
               let text = Spaces().Replace(entry.Value, " ").Trim()
               from one in OfEntry(text, prefix, forAll)
               select one,
        ];
    }

    private static IEnumerable<DocumentedSetting> OfEntry(string text, string prefix, char? forAll)
    {
        var keys = KeysOf(Keys().Match(text).Groups[1].Value);
        var (inner, behind) = Parentheses(text[Keys().Match(text).Length..]);
        var defaults = DefaultPart().Match(inner) is { Success: true } part ? part.Groups[1].Value : null;
        var values = defaults?.Split(", ");
        var reload = ReloadPart().Match(inner) is { Success: true } letter ? letter.Groups[1].Value[0]
            : behind is ": yes" or ": no" ? behind[2]
            : forAll;
        for (var at = 0; at < keys.Count; at++)
        {
            var own = values is not null && values.Length >= keys.Count && keys.Count > 1 ? values[at] : defaults;
            var words = Value().Match(own ?? "");
            var range = Range().Match(inner);
            yield return new DocumentedSetting(
                prefix + keys[at],
                own is null ? null
                    : words.Groups["word"].Success ? words.Groups["word"].Value
                    : words.Groups["plain"].Value,
                words.Groups["unit"].Value,
                inner.Contains("*with unit*", StringComparison.Ordinal),
                range.Success ? Number(range.Groups[1].Value) : null,
                range.Groups[2].Success ? Number(range.Groups[2].Value) : null,
                reload, text);
        }
    }

    /// <summary>A key that begins with a dot or an underscore goes on where the one before it stands.</summary>
    private static List<string> KeysOf(string text)
    {
        var keys = new List<string>();
        foreach (Match quoted in Quoted().Matches(text))
        {
            var key = quoted.Groups[1].Value;
            keys.Add(key[0] is '.' or '_' ? keys[0][..keys[0].LastIndexOf(key[0])] + key : key);
        }
        return keys;
    }

    /// <summary>All that stands in parentheses before the colon, and the rest.</summary>
    private static (string Inner, string Behind) Parentheses(string text)
    {
        var inner = "";
        var at = 0;
        while (at < text.Length && text[at] == ' ' && at + 1 < text.Length && text[at + 1] == '(')
        {
            var depth = 0;
            var begin = ++at;
            do
            {
                depth += text[at] switch { '(' => 1, ')' => -1, _ => 0 };
                at++;
            }
            while (depth > 0 && at < text.Length);
            inner += $"{text[(begin + 1)..(at - 1)]}; ";
        }
        return (inner, text[at..]);
    }

    private static decimal Number(string text) => decimal.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^- `(?:(?!^$|^- |^#)[\s\S])*?(?=\n- |\n\n|\n#|\z)", RegexOptions.Multiline)]
    private static partial Regex Entry();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();

    [GeneratedRegex(@"^- ((?:`[^`]+`(?:, )?)+)")]
    private static partial Regex Keys();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quoted();

    [GeneratedRegex(@"\bdefault ([^;]*)")]
    private static partial Regex DefaultPart();

    [GeneratedRegex(@"; R ([a-z])\b")]
    private static partial Regex ReloadPart();

    [GeneratedRegex(@"\bR: ([rsp])\b")]
    private static partial Regex ReloadOfAll();

    [GeneratedRegex(@"^(?:`(?<word>[^`]+)`|(?<plain>[^\s,:]+))(?: (?<unit>s|min|ms|bytes|MiB|lines)\b)?")]
    private static partial Regex Value();

    [GeneratedRegex(@"(?:^|[;,] )(-?[\d.]+) (?:to (-?[\d.]+)|and more)")]
    private static partial Regex Range();
}
