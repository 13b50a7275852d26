using System.Collections.Frozen;
using System.Net;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Dcs;

namespace Routing.Proxy.Routes;

/// <summary>All that follows from one view of the cluster; swapped whole.</summary>
internal sealed class RouteTable
{
    /// <summary>Before the first view.</summary>
    public static readonly RouteTable Empty = new()
    {
        View = new ClusterView(ClusterSnapshot.Empty, IsLive: false, LastContact: 0),
        Listeners = FrozenDictionary<string, ListenerTable>.Empty,
    };

    /// <summary>The view.</summary>
    public required ClusterView View { get; init; }

    /// <summary>The highest term that was ever seen.</summary>
    public Term HighestTerm { get; init; }

    /// <summary>What follows for each listener.</summary>
    public required FrozenDictionary<string, ListenerTable> Listeners { get; init; }
}

/// <summary>What follows from a view for one listener.</summary>
/// <param name="Route">Its settings.</param>
/// <param name="Hosts">Who serves.</param>
/// <param name="Targets">Where they are, by place in <see cref="HostSet.Members"/>; null where the name is not resolved yet.</param>
/// <param name="Health">What was seen of them, by place.</param>
internal sealed record ListenerTable(ListenerRoute Route, HostSet Hosts, RouteTarget?[] Targets, MemberHealth[] Health)
{
    /// <summary>Whether the target is still at the address it was reached at.</summary>
    public static bool IsAt(RouteTarget target, EndPoint? address) => address is null || target.Address.Equals(address);
}
