using System.Collections.Immutable;

namespace Routing.Settings;

/// <summary>Collects every problem of one reading, so that the operator sees all of them at once.</summary>
public sealed class SettingsReport
{
    private readonly List<SettingsProblem> _errors = [];
    private readonly List<SettingsProblem> _warnings = [];

    /// <summary>Wrong values, in the order in which they were found.</summary>
    public ImmutableArray<SettingsProblem> Errors => [.. _errors];

    /// <summary>Things to know that stop nothing: unknown keys, values without effect.</summary>
    public ImmutableArray<SettingsProblem> Warnings => [.. _warnings];

    /// <summary>Adds a wrong value.</summary>
    public void Error(SettingsProblem problem)
    {
        if (!_errors.Contains(problem))
        {
            _errors.Add(problem);
        }
    }

    /// <summary>Adds something to know.</summary>
    public void Warning(SettingsProblem problem)
    {
        if (!_warnings.Contains(problem))
        {
            _warnings.Add(problem);
        }
    }
}
