using System.Globalization;
using System.Text;

namespace Routing.Settings;

/// <summary>One error in a configuration, or one warning about it.</summary>
/// <param name="Origin">
/// Where it stands: <c>file.yml:12</c> or the name of an environment variable; empty when nowhere.
/// </param>
/// <param name="Path">The setting, for example <c>postgresql.listen</c>.</param>
/// <param name="Value">
/// The value as written; null when it is missing. A secret is not kept: see <see cref="SecretText"/>.
/// </param>
/// <param name="Message">What is wrong and what would be right.</param>
public sealed record SettingsProblem(string Origin, string Path, string? Value, string Message)
{
    private const int LongestValue = 200;

    /// <summary>The value as it may be shown; null when it is missing or secret.</summary>
    public string? Value { get; } = SecretText.Shown(Path, Value);

    /// <summary>The text itself is no YAML that can be read: such a place is not found by the setting's name.</summary>
    public bool IsOfSyntax { get; init; }

    /// <summary>Origin, path, value and message, in this order, separated by colons.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        if (Origin.Length > 0)
        {
            text.Append(Origin).Append(": ");
        }
        if (Path.Length > 0)
        {
            text.Append(Path).Append(": ");
        }
        if (Value is not null)
        {
            text.Append('\'').Append(Short(Value)).Append("': ");
        }
        return Printable(text.Append(Message).ToString());
    }

    /// <summary>
    /// The form of a validation report: <c>path value error (file.yml:12)</c>; what concerns no setting, or the text
    /// itself, begins with its file and line.
    /// </summary>
    public string ToReportLine()
    {
        var isAhead = IsOfSyntax || Path.Length == 0;
        string?[] parts =
        [
            Origin.Length > 0 && isAhead ? Origin + ":" : "", Path, Value is null ? null : Short(Value), Message,
            Origin.Length > 0 && !isAhead ? $"({Origin})" : "",
        ];
        return Printable(string.Join(' ', parts.Where(part => !string.IsNullOrEmpty(part))));
    }

    private static string Short(string value) => value.Length <= LongestValue ? value
        : string.Create(CultureInfo.InvariantCulture, $"{value[..LongestValue]}… ({value.Length} characters)");

    /// <summary>One line without control characters and characters that are not shown.</summary>
    private static string Printable(string text)
    {
        if (!text.Any(IsUnseen))
        {
            return text;
        }
        var shown = new StringBuilder();
        foreach (var letter in text)
        {
            if (IsUnseen(letter))
            {
                shown.Append(CultureInfo.InvariantCulture, $"\\u{(int)letter:X4}");
            }
            else
            {
                shown.Append(letter);
            }
        }
        return shown.ToString();
    }

    private static bool IsUnseen(char letter) => char.GetUnicodeCategory(letter) is UnicodeCategory.Control
        or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
}
