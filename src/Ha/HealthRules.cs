using Routing.Cluster;
using Routing.Ha.Health;

namespace Routing.Ha;

/// <summary>How the leader judges its server's health. Pure.</summary>
/// <remarks>
/// Slowness is no problem: a probe counts by what it says (no space, read-only), and silence only when it has lasted
/// for the whole patience. Exhausted connections never cost the leadership: the next leader would have as few.
/// </remarks>
public static class HealthRules
{
    /// <summary>A server that does not answer for this long counts as hanging.</summary>
    public static readonly TimeSpan Silence = TimeSpan.FromSeconds(15);

    /// <summary>What is wrong now, by one observation.</summary>
    /// <param name="local">The server.</param>
    /// <param name="silentFor">How long the server has not answered.</param>
    public static (HealthProblem Problem, string Detail) Of(LocalPostgres local, TimeSpan silentFor) => local switch
    {
        { Disk.Problem: not HealthProblem.None } => (local.Disk.Problem, local.Disk.Detail),
        { HasFreeConnections: false } => (HealthProblem.NoConnections, "every connection is in use (max_connections)"),
        { Server: ServerState.Unresponsive } when silentFor >= Silence =>
            (HealthProblem.Hangs, $"it has answered nothing for {silentFor.TotalSeconds:F0} s"),
        _ => (HealthProblem.None, ""),
    };

    /// <summary>The words of a problem in reason codes, REST and metrics.</summary>
    public static string Name(HealthProblem problem) => problem switch
    {
        HealthProblem.NoConnections => "no_connections",
        HealthProblem.Hangs => "hangs",
        HealthProblem.DiskHangs => "disk_hangs",
        HealthProblem.DiskFull => "disk_full",
        HealthProblem.DiskReadOnly => "disk_read_only",
        _ => "none",
    };

    /// <summary>The memory of the next run.</summary>
    /// <param name="memory">What the last run knew.</param>
    /// <param name="local">The server.</param>
    /// <param name="now">The time.</param>
    public static HealthMemory Remember(HealthMemory memory, LocalPostgres local, TimeSpan now)
    {
        var isSilent = local.Server == ServerState.Unresponsive && local.HasFreeConnections;
        var silentSince = isSilent ? memory.SilentSince ?? now : (TimeSpan?)null;
        var (problem, detail) = Of(local, now - (silentSince ?? now));
        var since =
            problem == HealthProblem.None ? (TimeSpan?)null : problem == memory.Problem ? memory.Since ?? now : now;
        return new HealthMemory(problem, detail, since, silentSince);
    }

    /// <summary>Whether a problem is one that another member may not have, and has lasted long enough.</summary>
    public static bool MayGiveUp(HealthMemory memory, HealthConfig config, TimeSpan now) =>
        config.Policy == HealthPolicy.Failover
            && memory.Problem is not (HealthProblem.None or HealthProblem.NoConnections)
        && memory.Since is { } since && now - since >= config.Patience;
}
