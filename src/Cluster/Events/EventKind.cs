namespace Routing.Cluster.Events;

/// <summary>The kinds of events: a closed list of words, with their codes in docs/operations.md.</summary>
public static class EventKind
{
    /// <summary>The agent itself began.</summary>
    public const string Agent = "agent";

    /// <summary>A decision that differs from the one before; the code is the reason's.</summary>
    public const string Reason = "reason";

    /// <summary>The leader key, as this member sees it.</summary>
    public const string Leader = "leader";

    /// <summary>This member's role; the code is the role's word.</summary>
    public const string Role = "role";

    /// <summary>This member's own hold on the leader key.</summary>
    public const string Lease = "lease";

    /// <summary>Other members were asked before a race.</summary>
    public const string Race = "race";

    /// <summary>A long job beside the loop began or ended.</summary>
    public const string Job = "job";

    /// <summary>The local PostgreSQL.</summary>
    public const string Server = "server";

    /// <summary>The first write of a new primary.</summary>
    public const string Write = "write";

    /// <summary>A switchover or failover that an operator asks for.</summary>
    public const string Request = "request";

    /// <summary>The synchronous state in its key.</summary>
    public const string Sync = "sync";

    /// <summary>Automatic actions are suspended, or go on.</summary>
    public const string Pause = "pause";

    /// <summary>The connection to etcd.</summary>
    public const string Dcs = "dcs";

    /// <summary>A change of leader that this member won is complete.</summary>
    public const string Failover = "failover";

    /// <summary>Something that an operator should look at.</summary>
    public const string Warning = "warning";

    /// <summary>All of them.</summary>
    public static readonly IReadOnlyList<string> All =
    [
        Agent, Reason, Leader, Role, Lease, Race, Job, Server, Write, Request, Sync, Pause, Dcs, Failover, Warning,
    ];
}
