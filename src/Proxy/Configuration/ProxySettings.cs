using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Hosting.Logging;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Configuration;

/// <summary>The whole configuration of one proxy.</summary>
internal sealed record ProxySettings
{
    /// <summary>The values that <see cref="Transport"/> may have.</summary>
    public static readonly ImmutableArray<string> Transports = ["auto", "io_uring", "epoll", "portable"];

    /// <summary><c>scope</c>: the cluster's name. Not reloadable.</summary>
    public required string Scope { get; init; }

    /// <summary><c>namespace</c>: the prefix of the cluster's keys. Default <c>/service</c>. Not reloadable.</summary>
    public required string Namespace { get; init; }

    /// <summary><c>etcd3</c>; null: the topology comes from <see cref="Rest"/>. Not reloadable.</summary>
    public required EtcdOptions? Etcd { get; init; }

    /// <summary><c>rest</c>; null: the topology comes from <see cref="Etcd"/>. Not reloadable.</summary>
    public required RestOptions? Rest { get; init; }

    /// <summary><c>log</c>.</summary>
    public required LogSettings Log { get; init; }

    /// <summary><c>listeners</c>.</summary>
    public required ImmutableArray<ListenerConfig> Listeners { get; init; }

    /// <summary><c>limits</c>, <c>timeouts</c> and <c>broadcast_unknown_cancels</c>.</summary>
    public required SessionSettings Sessions { get; init; }

    /// <summary><c>admin.listen</c>; null: no admin port.</summary>
    public HostPort? Admin { get; init; }

    /// <summary><c>transport</c>: auto, io_uring, epoll or portable. Default auto. Not reloadable.</summary>
    public string Transport { get; init; } = "auto";

    /// <summary>
    /// <c>loops</c>: event loops; 0 (default): one for two processors, at least one, four at most. Not reloadable.
    /// </summary>
    public int Loops { get; init; }

    /// <summary>
    /// <c>favor</c>: latency (default) or throughput, for loops of io_uring and epoll. Not reloadable.
    /// </summary>
    public Favor Favor { get; init; }

    /// <summary>
    /// <c>timeouts.drain</c>: what sessions get to come to rest when the proxy is told to end. Default 30 s.
    /// </summary>
    public TimeSpan DrainTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// <c>take_over</c>: the path of the Unix domain socket at which this process waits for one that takes over from
    /// it; null: none does. By default a file of systemd's runtime directory, where there is one. Not reloadable.
    /// </summary>
    public string? TakeOver { get; init; }

    /// <summary>
    /// <c>timeouts.take_over</c>: what sessions get to come to stand between two messages, and clients to log in, when
    /// another process takes over. Default 5 s.
    /// </summary>
    public TimeSpan TakeOverTime { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// <c>reuse_port</c>: lets a second process listen on the same ports (SO_REUSEPORT), for an upgrade. Default off.
    /// Not reloadable.
    /// </summary>
    public bool ReusePort { get; init; }
}
