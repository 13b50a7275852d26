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
    /// <summary>The value as it may be shown; null when it is missing or secret.</summary>
    public string? Value { get; } = SecretText.Shown(Path, Value);

    /// <summary>The text itself is no YAML that can be read: nobody finds such a place by the setting's name.</summary>
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
            text.Append('\'').Append(Value).Append("': ");
        }
        return text.Append(Message).ToString();
    }

    /// <summary>The form of a validation report: <c>path value error</c>; what concerns no setting, or the text
    /// itself, begins with its file and line.</summary>
    public string ToReportLine() => string.Join(' ',
        new[] { Origin.Length > 0 && (IsOfSyntax || Path.Length == 0) ? Origin + ":" : "", Path, Value, Message }.Where(
            part => !string.IsNullOrEmpty(part)));
}
