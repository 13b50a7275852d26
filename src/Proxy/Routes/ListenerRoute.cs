using Routing.Cluster.HostChoice;

namespace Routing.Proxy.Routes;

/// <summary>Where the sessions of one listener may go, and how long they wait for it.</summary>
internal sealed record ListenerRoute
{
    /// <summary>The listener's name.</summary>
    public required string Name { get; init; }

    /// <summary>What is wanted.</summary>
    public required HostRequest Request { get; init; }

    /// <summary>How long a session waits for a target. Default 10 s: less than the shortest connect timeout of the usual drivers.</summary>
    public TimeSpan HoldTime { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How many sessions wait at once; more are refused at once. Default 5,000.</summary>
    public int HoldQueue { get; init; } = 5_000;

    /// <summary>How many of those who waited are let through in a second. Default 500.</summary>
    public int LoginsPerSecond { get; init; } = 500;

    /// <summary>A server in recovery is the wrong one.</summary>
    public bool MustBePrimary => Request.Role == WantedRole.Primary;
}
