using Routing.Cluster;

namespace Routing.Ha;

public static partial class HaLoop
{
    /// <summary>After this time without streaming a standby's data are compared with the primary's.</summary>
    private static readonly TimeSpan s_streamingGrace = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan s_recheck = TimeSpan.FromSeconds(15);

    /// <summary>Another member holds the leader key, and PostgreSQL runs.</summary>
    private static Decision DecideFollowing(Observation o, string leader)
    {
        if (o.Local.IsPrimary)
        {
            return o.Paused
                ? Wait(o, "paused_primary",
                    $"goes on as a primary without the leader key ({leader} has it): the cluster is paused")
                : Act(o, "lost_leader", $"demotes itself: {leader} holds the leader key", s_soon,
                    new HaAction.Demote(DemoteMode.ImmediateNoLock));
        }
        if (DecideReplacement(o, leader) is { } replacement)
        {
            return replacement;
        }
        var member = o.Cluster!.Members.GetValueOrDefault(leader);
        var upstream = UpstreamOf(o, leader);
        if (upstream is null)
        {
            return Wait(o, "follow_waits", $"waits for the address of {leader}", s_second);
        }
        if (o.Options.Tags.NoStream)
        {
            return Wait(o, "follows_archive", $"replays from the archive; the leader is {leader}");
        }
        if (o.Local.Following != upstream)
        {
            return MustWait(o, out var left)
                ? Wait(o, "follow_waits", $"will follow {upstream.Address}", left)
                : Act(o, "follows_new", $"follows a new upstream, {upstream.Address}; the leader is {leader}", s_soon,
                    new HaAction.Follow(upstream));
        }
        if (o.IsStandbyCluster)
        {
            return DecideFollowingStandbyLeader(o, leader);
        }
        var canCheck = !o.Paused && member is { Role: Role.Primary, State: PostgresState.Running };
        var due = o.Memory.DivergenceCheckedAt is not { } at || o.Now - at >= s_recheck;
        if (o.Local.IsStreaming)
        {
            return canCheck && due && o.Local.Damage == DataDamage.Diverged
                ? Act(
                    o, "compares",
                    $"streams, though its data are marked as diverged: compares its history with that of {leader}",
                    null,
                    new HaAction.CheckDivergence(leader))
                : DecideSlotCopy(o, leader) ?? Wait(o, "follows", $"follows {leader}");
        }
        var idle = o.Now - (o.Memory.NotStreamingSince ?? o.Now);
        if (DivergenceOf(o) is DivergenceState.Diverged or DivergenceState.RewindFailed && canCheck)
        {
            return DecideDivergedStandby(o, leader, member!);
        }
        return canCheck && idle >= s_streamingGrace && due
            ? Act(o, "compares", $"does not stream: compares its history with that of {leader}", null,
                new HaAction.CheckDivergence(leader))
            : Wait(o, "not_streaming", $"follows {leader} and does not stream yet", canCheck && idle < s_streamingGrace
                ? s_streamingGrace - idle + TimeSpan.FromMilliseconds(10)
                : s_second);
    }

    private static Decision DecideDivergedStandby(Observation o, string leader, Member member) => DivergenceOf(o) switch
    {
        DivergenceState.Diverged when MustWait(o, out var left) =>
            Wait(o, "rewind_retry", $"tries to rewind to {leader} again", left),
        DivergenceState.Diverged when MayRewind(o) => member.CheckpointAfterPromotePending
            ? Wait(o, "rewind_waits", $"waits with the rewind until {leader} has written its first checkpoint",
                s_second)
            : Act(o, "rewinds", $"rewinds to {leader}: its history has diverged", null, new HaAction.Rewind(leader)),
        _ => DecideWithoutRewind(o, leader),
    };

    /// <summary>
    /// Where this member should stream from: its replicatefrom member, else the leader; null while that is unknown.
    /// </summary>
    internal static Upstream? UpstreamOf(Observation o, string leader)
    {
        var members = o.Cluster!.Members;
        var source = o.Options.Tags.ReplicateFrom is { } wanted && wanted != o.Self && members.ContainsKey(wanted)
            ? wanted
            : leader;
        if (members.GetValueOrDefault(source)?.Address is not { } address)
        {
            return null;
        }
        return new Upstream(address, o.Config.UseSlots ? ReplicationSlotName.FromMember(o.Self) : null);
    }
}
