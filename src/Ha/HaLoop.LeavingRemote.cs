using Routing.Cluster;

namespace Routing.Ha;

// A cluster that follows a remote one no more becomes a primary. Its configuration may have been changed by mistake,
// while the remote primary goes on: then two clusters would accept writes.
public static partial class HaLoop
{
    /// <summary>A remote primary is asked again after this time, whether it still is one.</summary>
    private static readonly TimeSpan s_remoteAgain = TimeSpan.FromSeconds(3);

    /// <summary>
    /// Its configuration lets it be a primary, and it is not known yet that none of the remote servers is one.
    /// </summary>
    public static bool IsHeldByRemote(Observation observation) =>
        observation.Memory.RemoteAnswer is null or { Primary: not null } && LeftRemote(observation) is not null;

    /// <summary>The remote servers that the cluster followed until its configuration said otherwise.</summary>
    private static Upstream? LeftRemote(Observation o) =>
        o.IsStandbyCluster || o.Config.PromoteBesideRemote ? null : o.Memory.Members.Remote;

    /// <summary>
    /// This leader is about to become a primary: not while a server of the remote cluster is one. Servers that do not
    /// answer hold nothing up, as they may be lost for good, unless one has said before that it is a primary. Null:
    /// nothing is against it.
    /// </summary>
    private static Decision? DecideBesideRemote(Observation o)
    {
        if (LeftRemote(o) is not { } remote || o.Local.PromotionAsked)
        {
            return null;
        }
        if (o.Memory.RemoteAnswer is not { } answer
            || (answer.Primary is not null && o.Now - answer.At >= s_remoteAgain))
        {
            return Act(o, "asks_remote", $"asks the remote cluster at {remote} whether it still is a primary", null,
                new HaAction.AskRemote(remote));
        }
        if (answer.Primary is not { } primary)
        {
            return null;
        }
        return o.Local.Server == ServerState.Running && o.Local.Following != remote && !MustWait(o, out _)
            ? Act(o, "follows_remote", $"follows {Describe(remote)}: {primary}", s_soon, new HaAction.Follow(remote))
            : Wait(o, "remote_primary", $"does not become a primary, though standby_cluster is gone: {primary}",
                s_second);
    }

    /// <summary>
    /// What is known of the remote cluster: it ends when a member of this one is a primary, as it should be.
    /// </summary>
    private static KnownMembers WithRemote(Observation o, KnownMembers members)
    {
        var isOver = o.Local is { IsPrimary: true, Server: ServerState.Running }
            || (o.Cluster!.LeaderMember is { Role: Role.Primary, State: PostgresState.Running } leader
                && leader.Name != o.Self);
        var remote = o.IsStandbyCluster ? RemoteOf(o.Config) : isOver ? null : members.Remote;
        return remote == members.Remote ? members : members with { Remote = remote };
    }
}
