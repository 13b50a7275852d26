namespace Routing.Cluster.HostChoice;

/// <summary>What a new connection wants.</summary>
public sealed record HostRequest
{
    /// <summary>Which role it needs.</summary>
    public required WantedRole Role { get; init; }

    /// <summary>How to pick among members that fit equally. Default least busy.</summary>
    public HostPolicy Policy { get; init; } = HostPolicy.LeastConnections;

    /// <summary>A replica that lacks more than this many bytes of WAL is left out; null: no limit.</summary>
    public long? MaximumLagBytes { get; init; }

    /// <summary>
    /// Members whose tag <see cref="ZoneTag"/> has this value come first, or whose site it is, where they have no such
    /// tag; null: no preference.
    /// </summary>
    public string? Zone { get; init; }

    /// <summary>The tag that names a member's zone. Default <c>zone</c>.</summary>
    public string ZoneTag { get; init; } = "zone";

    /// <summary>Tags (name, value as text) that a member must carry, all of them.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> RequiredTags { get; init; } = [];

    /// <summary>When the leader serves a request for replicas. Default never.</summary>
    public LeaderFallback Fallback { get; init; }

    /// <summary>Only replicas that are known to have replayed at least this; null: any.</summary>
    public Lsn? MinimumReplayed { get; init; }
}

/// <summary>The role that a connection needs.</summary>
public enum WantedRole
{
    /// <summary>The leader of the highest term.</summary>
    Primary,

    /// <summary>A standby that serves readers.</summary>
    Replica,

    /// <summary>A replica where there is one, else the leader.</summary>
    PreferReplica,

    /// <summary>The leader where there is one, else a replica.</summary>
    PreferPrimary,

    /// <summary>Any member that serves.</summary>
    Any,

    /// <summary>A replica that is synchronous now.</summary>
    Synchronous,
}

/// <summary>How to pick among members that fit equally.</summary>
public enum HostPolicy
{
    /// <summary>The fewest connections and attempts; at equality, by turns.</summary>
    LeastConnections,

    /// <summary>By turns.</summary>
    RoundRobin,

    /// <summary>The less busy of two that were drawn at random.</summary>
    RandomOfTwo,
}

/// <summary>When the leader serves a request for replicas.</summary>
public enum LeaderFallback
{
    /// <summary>Never.</summary>
    Never,

    /// <summary>When no replica fits.</summary>
    WhenEmpty,

    /// <summary>Always: it is one of the choices.</summary>
    Always,
}
