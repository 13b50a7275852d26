using System.Collections.Frozen;
using Routing.Cluster.HostChoice;
using Routing.Proxy.Configuration;
using Routing.Proxy.Members;

namespace Routing.Proxy.Routes;

/// <summary>The members that sessions of one listener may go to, by one view of the cluster.</summary>
/// <param name="Config">What its user wrote.</param>
/// <param name="Hosts">The members that serve, in order of preference.</param>
/// <param name="Targets">
/// Their addresses, by index in <see cref="HostSet.Members"/>; null where the name is not resolved yet.
/// </param>
/// <param name="Health">Their records, by the same index.</param>
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
