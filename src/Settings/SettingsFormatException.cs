namespace Routing.Settings;

/// <summary>
/// A text that is no configuration at all: broken YAML, a list where a mapping must be.
/// </summary>
public sealed class SettingsFormatException : Exception
{
    /// <summary>With what is wrong and where.</summary>
    public SettingsFormatException(SettingsProblem problem)
        : base(problem?.ToString()) => Problem = problem ?? throw new ArgumentNullException(nameof(problem));

    /// <summary>What is wrong and where.</summary>
    public SettingsProblem Problem { get; }
}
