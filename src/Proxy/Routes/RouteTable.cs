using System.Collections.Frozen;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Dcs;
using Routing.Proxy.Members;

namespace Routing.Proxy.Routes;

/// <summary>All that follows from one view of the cluster; swapped whole.</summary>
internal sealed record RouteTable
{
    /// <summary>Before the first view.</summary>
    public static readonly RouteTable Empty = new()
    {
        View = ClusterView.Unknown,
        Listeners = FrozenDictionary<string, ListenerState>.Empty,
    };

    /// <summary>The view.</summary>
    public required ClusterView View { get; init; }

    /// <summary>The state of each listener, by its name.</summary>
    public required FrozenDictionary<string, ListenerState> Listeners { get; init; }

    /// <summary>
    /// Members that answer nothing while nothing else proves them alive: no session goes there, and theirs are cut.
    /// </summary>
    public FrozenSet<string> Silent { get; init; } = FrozenSet<string>.Empty;

    /// <summary>How many members a new session of a listener may go to.</summary>
    public int UsableOf(ListenerState listener) =>
        listener.Hosts.Members.Count(member => !Silent.Contains(member.Name));

    /// <summary>Whether a session of a listener may stay at its target.</summary>
    public SessionVerdict Judge(string listener, RouteTarget target)
    {
        if (Silent.Contains(target.Member))
        {
            return SessionVerdict.CutNow;
        }
        if (!Listeners.TryGetValue(listener, out var table))
        {
            return SessionVerdict.Stay;   // its listener was removed: the session may run to its end
        }
        var member = View.Snapshot.Members.GetValueOrDefault(target.Member);
        if (table.Config.MustBePrimary)
        {
            if (table.Hosts.Leader is { } leader)
            {
                return leader.Name == target.Member ? SessionVerdict.Stay : SessionVerdict.CutNow;
            }
            // No member leads: a member that reports itself as a standby cannot be written to.
            return View.IsLive && member is { Role: Role.Replica, State: PostgresState.Running }
                ? SessionVerdict.CutNow
                : SessionVerdict.Stay;
        }
        return !View.IsLive ? SessionVerdict.Stay
            : member is null ? SessionVerdict.CutAtRest
            : member.State is PostgresState.Stopped or PostgresState.Stopping or PostgresState.Crashed
                or PostgresState.StartFailed
                ? SessionVerdict.CutNow
            : JudgeReader(table, target, member);
    }

    private SessionVerdict JudgeReader(ListenerState table, RouteTarget target, Member member)
    {
        var request = table.Config.Request;
        var at = table.IndexOf(target.Member);
        if (at >= 0)
        {
            var isFallback = ReferenceEquals(table.Hosts.Members[at], table.Hosts.Leader)
                && request.Role is WantedRole.Replica or WantedRole.Synchronous or WantedRole.PreferReplica
                && request.Fallback != LeaderFallback.Always && table.Hosts.TierEnds.Length > 1;
            var hasMoved = table.Targets[at] is { } now && !target.Addresses.Any(now.Addresses.Contains);
            return hasMoved ? SessionVerdict.CutAtRest
                : isFallback && table.IsServedBefore(at, Silent) ? SessionVerdict.MoveBack
                : SessionVerdict.Stay;
        }
        // Behind the limit is no reason to leave at once: only far behind it.
        return request.MaximumLagBytes is { } limit && HostChooser.LagOf(View.Snapshot, member) is { } lag
            && lag > limit && lag <= 2 * limit
            && member.Role == Role.Replica
            ? SessionVerdict.Stay
            : SessionVerdict.CutAtRest;
    }
}
