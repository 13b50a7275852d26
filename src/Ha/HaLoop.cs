using System.Collections.Immutable;

namespace Routing.Ha;

/// <summary>The decision of one run of the loop.</summary>
/// <remarks>
/// Pure: no I/O, no clock, no randomness; equal in, equal out. Read from the top: the first rule that fits wins, so
/// safety stands first. Sub-decisions have the same form, in files of their own.
/// </remarks>
public static partial class HaLoop
{
    private static readonly TimeSpan s_soon = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_second = TimeSpan.FromSeconds(1);

    /// <summary>Chooses what this member does next.</summary>
    public static Decision Decide(Observation observation)
    {
        var o = observation with { Memory = Remember(observation) };
        if (o.Cluster is null)
        {
            return DecideUnknown(o);
        }
        if (DecideSafety(o) is { } safety)
        {
            return safety;
        }
        if (o.ShutdownRequested)
        {
            return o.Order is { } late
                ? DecideShutdown(o).After(RefusalOf(late, OrderRefusal.Failed, "the agent ends"))
                : DecideShutdown(o);
        }
        if (o.Cluster.Returned is { } returned && returned.Holder == o.Self && o.IsDcsLive && !o.Lease.HoldsLeader)
        {
            return Act(o, "returned_key", "deletes the leader key that names it: it came back with a restored DCS",
                s_soon,
                new HaAction.ReleaseLeader(null));
        }
        if (DecideOrder(o) is { } ordered)
        {
            return ordered;
        }
        if (o.Job is { } job)
        {
            return DecideBusy(o, job);
        }
        if (DecideRestore(o) is { } restoring)
        {
            return restoring;
        }
        if (o.Memory.WonInitialize || o.Memory.BootstrapDone || o.Memory.BootstrapFailure is not null)
        {
            return DecideBootstrapping(o);
        }
        if (o.Local.Data == DataDirectory.Inaccessible)
        {
            return DecideInaccessible(o, $"cannot use its data directory: {o.Local.DataProblem}");
        }
        if (o.Local.Data == DataDirectory.Empty)
        {
            return DecideEmpty(o);
        }
        if (o.Local.Control is not { } control)
        {
            return DecideWithoutData(o, "control_unreadable", "cannot read its pg_control: reinitialize this member");
        }
        if (o.Cluster.Initialize.SystemId is { } systemId && systemId != control.SystemId)
        {
            return DecideForeign(o, systemId, control.SystemId);
        }
        return DecideSchedule(o) ?? NotBeyondSchedule(o, o.Local.Server switch
        {
            ServerState.Stopped => DecideStopped(o),
            ServerState.Starting => DecideStarting(o),
            _ when o.Leader is null => DecideRace(o),
            _ when o.Leader == o.Self => DecideLeading(o),
            _ => DecideFollowing(o, o.Leader!),
        });
    }

    /// <summary>The DCS has not answered this agent yet.</summary>
    private static Decision DecideUnknown(Observation o)
    {
        if (o.Order is { } order)
        {
            return Refuse(o, order, OrderRefusal.Failed, "the DCS has not answered yet");
        }
        if (o.ShutdownRequested)
        {
            return o.Job is null
                ? Act(o, "stops", "ends and leaves PostgreSQL as it is: the DCS has never answered", null,
                    new HaAction.Exit(0))
                : Wait(o, "stops", $"ends: {o.Job.Progress}", s_second);
        }
        // By then the lease of an earlier agent process has ended, and so has the wait of its fence.
        var bound = o.Timing.Ttl - o.Lease.SafetyMargin;
        if (o.Local.AcceptsWrites && !o.Paused && o.Job is null)
        {
            return o.Now >= bound
                ? new Decision("dcs_silent", "demotes itself: the DCS has not answered for longer than a lease lasts",
                    [new HaAction.Demote(DemoteMode.Offline)], o.Memory with { Demoted = true }, s_soon)
                : Wait(o, "dcs_unknown", "waits for the first answer of the DCS", Least(bound - o.Now, s_second));
        }
        return Wait(o, "dcs_unknown", "waits for the first answer of the DCS");
    }

    /// <summary>Rules that hold in every situation: a primary without a valid lease stops.</summary>
    private static Decision? DecideSafety(Observation o)
    {
        if (o.Paused || !MayAcceptWrites(o.Local))
        {
            return null;
        }
        if (o.Leads || o.FailsafeHolds)
        {
            return DecideStandDown(o);
        }
        if (o.Memory.WonInitialize || o.Job?.Kind is JobKind.Bootstrap or JobKind.AbandonBootstrap)
        {
            return null;   // a new cluster: the empty initialize key is ours, no other member can lead it yet
        }
        if (o.Job is { StopsInTime: true })
        {
            return Wait(o, "demoting", $"is stopping PostgreSQL: {o.Job.Progress}");
        }
        // Any other job may take longer than the lease, a demotion by request too: it begins with a checkpoint.
        var free = o.Leader is null && !o.Lease.IsUncertain;
        if (o.IsDcsLive && !o.Lease.HoldsLeader && o.Job is null)
        {
            if (o.Cluster!.Leader?.Holder == o.Self)
            {
                // An agent that was restarted finds its own key.
                return Act(o, "attaching", "finds its own name in the leader key and takes it over", s_soon,
                    new HaAction.AttachLeader());
            }
            if (free && o.Local.Server == ServerState.Running && !o.ShutdownRequested)
            {
                return null;   // the race decides: it takes the key at once, or demotes
            }
        }
        var (mode, code, reason) = (o.Lease.HoldsLeader, o.Leader) switch
        {
            (true, _) => (DemoteMode.Offline, "dcs_silent",
                "demotes itself: the lease runs out and the DCS does not renew it"),
            (false, { } leader) when leader != o.Self => (DemoteMode.ImmediateNoLock, "lost_leader",
                $"demotes itself: {leader} holds the leader key"),
            _ => (DemoteMode.ImmediateNoLock, "lost_leader", "demotes itself: it does not hold the leader key"),
        };
        var actions = o.Job is null
            ? ImmutableArray.Create<HaAction>(new HaAction.Demote(mode))
            : [new HaAction.CancelJob(), new HaAction.Demote(mode)];
        return new Decision(code, reason, actions,
            o.Memory with { Demoted = true, Promoting = false, DownSince = null }, s_soon);
    }

    /// <summary>Whether the server is a primary, or may become one at any moment without a command.</summary>
    private static bool MayAcceptWrites(LocalPostgres local) =>
        local.AcceptsWrites
        || (local.PromotionAsked && !local.SessionsHaveEnded)
        || local is { Server: ServerState.Starting, HasRecoverySignal: false };

    /// <summary>A job runs: the loop only cancels it when it must.</summary>
    private static Decision DecideBusy(Observation o, JobView job)
    {
        if (job.MakesPrimary && o.IsStandbyCluster && !o.Paused)
        {
            return Act(o, "job_cancelled", $"cancels {Name(job.Kind)}: this is a standby cluster by now", s_soon,
                new HaAction.CancelJob());
        }
        if (job.MakesPrimary && !o.Leads && !o.FailsafeHolds && !o.Paused)
        {
            return Act(o, "job_cancelled", $"cancels {Name(job.Kind)}: it does not lead any more", s_soon,
                new HaAction.CancelJob());
        }
        if (job.Kind == JobKind.Bootstrap
            && (LostInitialize(o, null)
                ?? (o.Leader is { } other && other != o.Self ? $"{other} leads" : null)) is { } lost)
        {
            return Act(o, "job_cancelled", $"cancels {Name(job.Kind)}: {lost}", s_soon, new HaAction.CancelJob());
        }
        if (job.Kind is JobKind.Clone or JobKind.Reinitialize or JobKind.Rewind or JobKind.CheckDivergence
            && o.Leader == o.Self && !o.Local.AcceptsWrites && !ReadsFromRemote(o, job))
        {
            return Act(o, "releasing", $"gives the leader key up: {Name(job.Kind)} runs", null,
                new HaAction.ReleaseLeader(null));
        }
        if (job.Kind == JobKind.Restore && WhyNoRestore(o) is { } calledOff)
        {
            return Act(o, "job_cancelled", $"cancels {Name(job.Kind)}: {calledOff}", s_soon, new HaAction.CancelJob());
        }
        if (job.Source is { } source && LosesSource(o, job, source) is { } why)
        {
            return Act(o, "job_cancelled", $"cancels {Name(job.Kind)}: {why}", s_soon, new HaAction.CancelJob());
        }
        return Wait(o, "busy", $"is busy: {Name(job.Kind)}: {job.Progress}");
    }

    /// <summary>Why a job that reads from another member has become useless; null while it is useful.</summary>
    private static string? LosesSource(Observation o, JobView job, string source)
    {
        if (!o.IsDcsLive)
        {
            return null;
        }
        if (job.Kind is JobKind.CheckDivergence or JobKind.CopySlots && o.Leader != source)
        {
            return $"{source} does not lead any more";   // and without a leader this member may have to race
        }
        if (job.Kind is JobKind.Rewind && o.Leader is { } leader && leader != source)
        {
            return $"{leader} leads instead of {source}";
        }
        // A copy takes hours and may outlive its source's agent: as long as it progresses, the source is there.
        return !o.Cluster!.Members.ContainsKey(source) && o.Now - job.ProgressedAt >= o.Timing.Ttl
            ? $"{source} is gone, and nothing has come from it for {(o.Now - job.ProgressedAt).TotalSeconds:F0} s"
            : null;
    }

    /// <summary>A server may run on data that this agent cannot use: it stops before another may lead.</summary>
    private static Decision DecideInaccessible(Observation o, string reason) =>
        o.Local.HasProcess && !o.Paused
            ? Act(o, "data_inaccessible", $"stops PostgreSQL: it {reason}", s_second,
                new HaAction.Demote(DemoteMode.Immediate))
            : DecideWithoutData(o, "data_inaccessible", reason);

    /// <summary>The key is kept while a server runs: it may be accepting writes.</summary>
    private static Decision DecideWithoutData(Observation o, string code, string reason) =>
        o.Leader == o.Self && !o.Local.HasProcess
            ? Act(o, code, reason + "; gives the leader key up", s_second, new HaAction.ReleaseLeader(null))
            : Wait(o, code, reason);

    private static Decision DecideForeign(Observation o, string cluster, string own)
    {
        var sentence = $"belongs to another cluster: its system identifier is {own}, the cluster's is {cluster}";
        if (!o.Paused)
        {
            return Act(o, "foreign_data", sentence + "; ends", null, new HaAction.Exit(1));
        }
        return o.Leader == o.Self
            ? Act(o, "foreign_data", sentence + "; gives the leader key up", null, new HaAction.ReleaseLeader(null))
            : Wait(o, "foreign_data", sentence);
    }

    private static Decision Wait(Observation o, string code, string reason, TimeSpan? wakeIn = null) =>
        new(code, reason, [], o.Memory, wakeIn);

    private static Decision Act(
        Observation o, string code, string reason, TimeSpan? wakeIn, params ImmutableArray<HaAction> actions) =>
        new(code, reason, actions, o.Memory, wakeIn);

    /// <summary>A job's name in a sentence.</summary>
    public static string Name(JobKind kind) => kind switch
    {
        JobKind.Bootstrap => "making a new cluster",
        JobKind.AbandonBootstrap => "putting a failed bootstrap aside",
        JobKind.Clone => "copying another member",
        JobKind.StartPrimary => "starting as primary",
        JobKind.StartStandby => "starting as standby",
        JobKind.Promote => "promoting",
        JobKind.Demote => "demoting",
        JobKind.Follow => "changing the upstream",
        JobKind.CheckDivergence => "comparing histories",
        JobKind.AskRemote => "asking the remote servers",
        JobKind.Rewind => "rewinding",
        JobKind.Reinitialize => "reinitialize",
        JobKind.CopySlots => "copying logical slots",
        JobKind.Restore => "restoring to an earlier moment",
        JobKind.PutBack => "putting the data back",
        _ => "restart",
    };
}
