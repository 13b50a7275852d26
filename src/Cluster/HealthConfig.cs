namespace Routing.Cluster;

/// <summary>What a leader does when its server is unwell though its process runs.</summary>
public enum HealthPolicy
{
    /// <summary>It reports the problem by reason, event, metric and REST. An operator decides.</summary>
    Report,

    /// <summary>It gives up its leadership, once a standby has all of its WAL and may lead.</summary>
    Failover,
}

/// <summary><c>routing_health</c>: our own section of the dynamic configuration; other tools ignore it.</summary>
public sealed record HealthConfig
{
    /// <summary><c>policy</c>: <c>report</c> or <c>failover</c>. Default report.</summary>
    public HealthPolicy Policy { get; init; }

    /// <summary><c>interval</c>: time between two probes of the disk; zero: none. Default 10 s.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// <c>patience</c>: how long a problem must last before anything is done about it. Default 60 s, at least 10 s.
    /// </summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// <c>minimum_free</c>: less free space than this is a problem. Default 32 MiB, two WAL segments.
    /// </summary>
    public long MinimumFreeBytes { get; init; } = 32 << 20;

    /// <summary>Every default.</summary>
    public static readonly HealthConfig Default = new();
}
