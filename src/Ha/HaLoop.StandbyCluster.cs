using Routing.Cluster;

namespace Routing.Ha;

// A standby cluster follows a remote one. Its leader is a standby of the remote primary, its other members follow the
// leader, and none of them may accept a write.
public static partial class HaLoop
{
    /// <summary>Where the standby leader streams from; null: WAL comes from the archive alone.</summary>
    public static Upstream? RemoteOf(DynamicConfig config) =>
        config.StandbyCluster is { Hosts: [var first, .. var others] } standby
            ? new Upstream(first, standby.PrimarySlotName) { Others = others }
            : null;

    private static bool HasRemote(Observation o) => RemoteOf(o.Config) is not null;

    /// <summary>
    /// The cluster has become a standby cluster while this member led it as a primary, by the leader key or by failsafe
    /// mode: the server stops cleanly, so that the remote primary can receive all WAL. Null: the server may go on.
    /// </summary>
    private static Decision? DecideStandDown(Observation o)
    {
        if (!o.IsStandbyCluster || o.Job is not null || o.ShutdownRequested || o.Memory.WonInitialize
            || o.Local.Server == ServerState.Starting || o.Local.SessionsHaveEnded)
        {
            return null;
        }
        return new Decision("demotes_cluster", "demotes itself: the cluster is to follow a remote one",
            [new HaAction.Demote(DemoteMode.ToStandby)],
            o.Memory with { Demoted = true, Promoting = false, DownSince = null }, s_soon);
    }

    /// <summary>This member holds the leader key of a standby cluster, and its server runs as a standby.</summary>
    private static Decision DecideStandbyLeader(Observation o)
    {
        if (o.Local.Server != ServerState.Running)
        {
            return Wait(o, "unresponsive", "is the standby leader; PostgreSQL does not answer its questions", s_second);
        }
        var cluster = o.Cluster!;
        if (cluster.Failover is { } request && DecideStandbyLeaderRequest(o, request) is { } requested)
        {
            return requested;
        }
        if (DecideMissingKeys(o) is { } missing)
        {
            return missing;
        }
        if (cluster.Sync.ModRevision != 0 && !o.Paused)
        {
            // No commit waits for a standby here. It is removed by a member that it allowed to lead.
            return Act(o, "synchronous", "is the standby leader; removes the synchronous state", s_soon,
                new HaAction.DeleteSync(cluster.Sync.ModRevision));
        }
        if (o.Local.Damage == DataDamage.ToBeReplaced)
        {
            return Act(o, "releasing", $"gives the leader key up: {WhyDamaged(o)}", s_second,
                new HaAction.ReleaseLeader(null));
        }
        if (DecideAgainstRemote(o) is { } repair)
        {
            return repair;
        }
        var remote = o.Options.Tags.NoStream ? null : RemoteOf(o.Config);
        if (o.Local.Following != remote)
        {
            return MustWait(o, out var left)
                ? Wait(o, "follow_waits", $"will follow {Describe(remote)}", left)
                : Act(o, "follows_remote", $"is the standby leader; follows {Describe(remote)}", s_soon,
                    new HaAction.Follow(remote));
        }
        return DecideStreaming(o, Describe(remote), leads: true);
    }

    private static string Describe(Upstream? remote) =>
        remote is null ? "the archive of the remote cluster" : $"the remote cluster at {remote}";

    /// <summary>A request on a standby leader. Null: nothing to do about it now.</summary>
    private static Decision? DecideStandbyLeaderRequest(Observation o, FailoverRequest request)
    {
        if (request is { ScheduledAt: null } && (request.Candidate == o.Self
            || (request.Leader is { } leader && leader != o.Self)))
        {
            return Act(o, "request_done", $"is the standby leader; clears the {request.Kind} that made it so", s_soon,
                new HaAction.ClearFailover(request.ModRevision));
        }
        return DecideRequest(o, request);
    }

    /// <summary>The standby leader's PostgreSQL is down: it starts in place, to follow the remote primary.</summary>
    private static Decision DecideStoppedStandbyLeader(Observation o)
    {
        var decision = DecideStoppedToFollow(o);
        return decision.Actions.Any(action => action.IsJob) && UnpublishedEnd(o) is { } publish
            ? decision with { Actions = decision.Actions.Insert(0, publish) }
            : decision;
    }

    /// <summary>
    /// This member was the primary, and ended cleanly: the remote cluster, which is to be promoted, needs WAL up to
    /// there. The agent that has stopped it may have been killed since, so that only the data tell. Null: it is
    /// published, or there is no such end.
    /// </summary>
    private static HaAction.PublishEnd? UnpublishedEnd(Observation o) =>
        o.Leads && o.Local is { HasRecoverySignal: false, ShutdownEnd: { } end, Control: { } control }
        && (o.Cluster!.Demotion is not { } told
            || (told.Lsn, told.Timeline, told.SystemId) != (end, control.Timeline, control.SystemId))
            ? new HaAction.PublishEnd(end, control)
            : null;

    private static Decision DecideStoppedToFollow(Observation o)
    {
        if (o.Local.Damage == DataDamage.ToBeReplaced)
        {
            return Act(o, "releasing", $"gives the leader key up: {WhyDamaged(o)}", s_second,
                new HaAction.ReleaseLeader(null));
        }
        if (DecideAgainstRemote(o) is { } repair)
        {
            return repair;
        }
        if (o.Memory.FailedStandbyStarts > 0)
        {
            return Act(o, "releasing",
                $"gives the leader key up: PostgreSQL does not start: {o.Memory.StandbyStartFailure}", s_second,
                new HaAction.ReleaseLeader(null));
        }
        if (ComparesFirst(o) is { } compares)
        {
            return compares;
        }
        return o.Local.Damage != DataDamage.None
            ? Act(o, "releasing", $"gives the leader key up: {WhyDamaged(o)}, and the remote primary cannot be asked",
                s_second, new HaAction.ReleaseLeader(null))
            : Act(o, "starts_standby_leader", "starts as the standby leader", null,
            new HaAction.StartStandby(RemoteOf(o.Config)));
    }

    /// <summary>Another member leads the standby cluster: this one starts as its standby.</summary>
    private static Decision DecideRejoinStandbyCluster(Observation o, string leader) =>
        ComparesFirst(o) ?? (UpstreamOf(o, leader) switch
        {
            _ when o.Local.Damage != DataDamage.None => Wait(o, "rejoin_waits",
                "had diverged and waits until the remote primary can be asked for its history", s_second),
            { } upstream => Act(o, "starts_standby", $"starts as a standby of {leader}", null,
                new HaAction.StartStandby(upstream)),
            null => Wait(o, "rejoin_waits", $"waits for the address of {leader}", s_second),
        });

    /// <summary>Another member leads the standby cluster, and this one is its standby and runs.</summary>
    private static Decision DecideFollowingStandbyLeader(Observation o, string leader) =>
        DecideAgainstRemote(o) ?? DecideStreaming(o, leader, leads: false);

    /// <summary>
    /// What was a primary, or had diverged, asks the remote primary before it starts. While that one cannot tell, what
    /// was a primary starts all the same: as a standby it harms nobody, and it is compared as soon as it can be.
    /// </summary>
    private static Decision? ComparesFirst(Observation o)
    {
        var isDoubtful = !o.Local.HasRecoverySignal || o.Local.Damage != DataDamage.None;
        return isDoubtful && HasRemote(o) && DivergenceOf(o) == DivergenceState.Unchecked
            && (o.Memory.DivergenceCheckedAt is not { } at || o.Now - at >= s_recheck)
                ? Act(o, "compares", "compares its history with that of the remote primary before it starts", null,
                    new HaAction.CheckDivergence(null))
                : null;
    }

    /// <summary>
    /// The server streams from its upstream; while it does not, its data are compared with the remote primary's from
    /// time to time.
    /// </summary>
    private static Decision DecideStreaming(Observation o, string upstream, bool leads)
    {
        var canCheck = !o.Paused && HasRemote(o);
        var due = o.Memory.DivergenceCheckedAt is not { } at || o.Now - at >= s_recheck;
        var idle = o.Now - (o.Memory.NotStreamingSince ?? o.Now);
        if (canCheck && due && (o.Local.IsStreaming ? o.Local.Damage == DataDamage.Diverged : idle >= s_streamingGrace))
        {
            return Act(o, "compares",
                $"{(o.Local.IsStreaming ? "streams, though its data are marked as diverged" : "does not stream")}: "
                    + "compares its history with that of the remote primary",
                null, new HaAction.CheckDivergence(null));
        }
        var wakeIn = canCheck && idle < s_streamingGrace
            ? s_streamingGrace - idle + TimeSpan.FromMilliseconds(10)
            : s_second;
        if (o.Local.IsStreaming && DecideSlotCopy(o, leads ? null : upstream) is { } copy)
        {
            return copy;
        }
        return (leads, o.Local.IsStreaming) switch
        {
            (true, true) => Wait(o, "leads_standby", $"is the standby leader, and follows {upstream}"),
            (false, true) => Wait(o, "follows", $"follows {upstream}"),
            (true, false) when !HasRemote(o) =>
                Wait(o, "leads_standby", $"is the standby leader, and replays {upstream}", s_second),
            (true, false) => Wait(o, "leads_standby",
                $"is the standby leader; it does not stream from {upstream}", wakeIn),
            _ => Wait(o, "not_streaming", $"follows {upstream} and does not stream yet", wakeIn),
        };
    }

    /// <summary>
    /// The local data have left the history of the remote primary. Each member repairs its own, the leader too, and
    /// needs no other member for it. Null: nothing is known against them, or there is no remote server to ask.
    /// </summary>
    private static Decision? DecideAgainstRemote(Observation o)
    {
        if (o.Paused || !HasRemote(o) || o.Local.AcceptsWrites
            || DivergenceOf(o) is not (DivergenceState.Diverged or DivergenceState.RewindFailed))
        {
            return null;
        }
        if (MustWait(o, out var left))
        {
            return Wait(o, "rewind_retry", "tries again to rewind to the remote primary"
                + (o.Memory.RewindProblem is { } problem ? $": {problem}" : ""), left);
        }
        if (DivergenceOf(o) == DivergenceState.Diverged && o.Local.RewindPossible)
        {
            return Act(o, "rewinds", "rewinds to the remote primary: its history has diverged", null,
                new HaAction.Rewind(null));
        }
        if (o.Leader is { } leader && leader != o.Self)
        {
            return DecideWithoutRewind(o, leader);
        }
        var mayReplace = o.Local.MayRemoveDivergedData
            || (o.Memory.Divergence == DivergenceState.RewindFailed && o.Local.MayRemoveAfterFailedRewind);
        if (o.Leader == o.Self)
        {
            return Act(o, "releasing", $"gives the leader key up: {WhyDamaged(o)}", s_second,
                new HaAction.ReleaseLeader(null));
        }
        return mayReplace
            ? Act(o, "clones", "replaces its diverged data by a copy of the remote primary", null,
                new HaAction.CopyMember(null) { FromRemote = true })
            : DecideWithoutRewind(o, "the remote primary");
    }

    /// <summary>
    /// Whether the job reads from the remote primary. The leader keeps the leader key during such a job, since the
    /// other members can only follow it again after that.
    /// </summary>
    private static bool ReadsFromRemote(Observation o, JobView job) =>
        o.IsStandbyCluster && job is { Kind: JobKind.CheckDivergence or JobKind.Rewind, Source: null };
}
