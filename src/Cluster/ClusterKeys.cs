namespace Routing.Cluster;

/// <summary>The names of the keys below a cluster's base path.</summary>
public static class ClusterKeys
{
    /// <summary>Plain text: the leader's name.</summary>
    public const string Leader = "leader";

    /// <summary>The dynamic configuration.</summary>
    public const string Config = "config";

    /// <summary>The system identifier, or empty while a member bootstraps.</summary>
    public const string Initialize = "initialize";

    /// <summary>The timeline history.</summary>
    public const string History = "history";

    /// <summary>A request for a switchover or failover.</summary>
    public const string Failover = "failover";

    /// <summary>The synchronous state.</summary>
    public const string Sync = "sync";

    /// <summary>The leader's WAL position and slots.</summary>
    public const string Status = "status";

    /// <summary>The failsafe members.</summary>
    public const string Failsafe = "failsafe";

    /// <summary>The leader's WAL position, as versions before 2.1 wrote it.</summary>
    public const string LegacyOptime = "optime/leader";

    /// <summary>The prefix of the member keys.</summary>
    public const string MembersPrefix = "members/";

    /// <summary>The prefix of our own keys, which every other tool ignores.</summary>
    public const string RoutingPrefix = "routing/";

    /// <summary>Our own: the highest timeline that a member has opened, or was about to.</summary>
    public const string Timeline = "routing/timeline";

    /// <summary>Our own: where the WAL of a primary ended that made room for the primary of a remote cluster.</summary>
    public const string Demotion = "routing/demotion";

    /// <summary>Our own: the living cluster is taken back in time.</summary>
    public const string Restore = "routing/restore";

    /// <summary>Our own: the leader is about to hand over.</summary>
    public const string Switchover = "routing/switchover";

    /// <summary>Our own: the prefix of the keys by which routers confirm what the leader has announced.</summary>
    public const string RoutersPrefix = "routing/routers/";

    /// <summary>The key of one member.</summary>
    public static string Member(string name) => MembersPrefix + name;

    /// <summary>"/namespace/scope" with runs of slashes collapsed and no trailing slash.</summary>
    /// <param name="clusterNamespace">The namespace; <c>service</c> when empty.</param>
    /// <param name="scope">The cluster's name.</param>
    public static string BasePath(string? clusterNamespace, string scope)
    {
        var parts = $"{(string.IsNullOrWhiteSpace(clusterNamespace) ? "service" : clusterNamespace)}/{scope}"
            .Split('/', StringSplitOptions.RemoveEmptyEntries);
        return "/" + string.Join('/', parts);
    }
}
