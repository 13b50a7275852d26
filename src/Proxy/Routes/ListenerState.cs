using System.Collections.Frozen;
using Routing.Cluster.HostChoice;
using Routing.Proxy.Configuration;
using Routing.Proxy.Members;

namespace Routing.Proxy.Routes;

/// <summary>What follows from a view for one listener.</summary>
/// <param name="Config">What its user wrote.</param>
/// <param name="Hosts">Who serves.</param>
/// <param name="Targets">
/// Where they are, by place in <see cref="HostSet.Members"/>; null where the name is not resolved yet.
/// </param>
/// <param name="Health">What was seen of them, by place.</param>
internal sealed record ListenerState(
    ListenerConfig Config, HostSet Hosts, RouteTarget?[] Targets, MemberRecord[] Health)
{
    /// <summary>
    /// Whether a member at an earlier place takes logins, by all that is known here: by its key, and by how the last
    /// attempt there has ended. So a session is never sent away to a member that a new session would not get into.
    /// </summary>
    public bool IsServedBefore(int place, FrozenSet<string> silent)
    {
        for (var at = 0; at < place; at++)
        {
            if (Targets[at] is { } target && Health[at].TakesLogins && !silent.Contains(target.Member))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>The index of a member among those that serve, or -1.</summary>
    public int IndexOf(string member)
    {
        for (var at = 0; at < Hosts.Members.Length; at++)
        {
            if (Hosts.Members[at].Name == member)
            {
                return at;
            }
        }
        return -1;
    }
}
