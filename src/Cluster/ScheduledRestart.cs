namespace Routing.Cluster;

/// <summary>A restart that one member will do at a given time.</summary>
/// <param name="Schedule">When.</param>
/// <param name="PostmasterStartTime">The postmaster that is meant; another start time cancels the plan.</param>
/// <param name="Role">Only in this role, or null.</param>
/// <param name="PostgresVersion">Only while the server is older than this, or null.</param>
/// <param name="RestartPending">Only when a restart is pending.</param>
/// <param name="TimeoutSeconds">Time for the start, or null for the configured one.</param>
public sealed record ScheduledRestart(
    DateTimeOffset Schedule,
    string? PostmasterStartTime,
    string? Role,
    string? PostgresVersion,
    bool RestartPending,
    double? TimeoutSeconds)
{
    /// <summary>What has to hold when its time has come.</summary>
    public RestartFilter Filter => new(Role, PostgresVersion, RestartPending);

    /// <summary>Time for the start; null: the configured one.</summary>
    public TimeSpan? Timeout => TimeoutSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
}
