namespace Routing.Cluster;

/// <summary>A parameter whose new value waits for a restart; both values as PostgreSQL shows them.</summary>
/// <param name="OldValue">The value in force; null when there was none.</param>
/// <param name="NewValue">The value after the restart; null when there will be none.</param>
public sealed record ParameterChange(string? OldValue, string? NewValue);
