using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha;

public static partial class HaLoop
{
    /// <summary>The data directory is empty.</summary>
    private static Decision DecideEmpty(Observation o)
    {
        if (o.Local.HasProcess)
        {
            return Act(o, "data_vanished", "stops PostgreSQL: its data directory is empty", s_second,
                new HaAction.Demote(DemoteMode.Immediate));
        }
        if (o.Leader == o.Self)
        {
            return Act(o, "data_vanished", "gives the leader key up: its data directory is empty", s_second,
                new HaAction.ReleaseLeader(null));
        }
        if (o.Paused)
        {
            return Wait(o, "empty", "has an empty data directory; nothing is made while the cluster is paused");
        }
        if (MustWait(o, out var left))
        {
            return Wait(o, "clone_retry", $"tries to copy another member again in {left.TotalSeconds:F0} s", left);
        }
        if (o.Leader is { } leader)
        {
            var source = CloneSource(o, leader);
            return source is null
                ? Wait(o, "clone_waits", $"waits until {leader} can be copied", s_second)
                : Act(o, "clones", $"copies {source}", null, new HaAction.CopyMember(source));
        }
        if (!o.IsDcsLive)
        {
            return Wait(o, "dcs_unreachable", "has an empty data directory and waits for the DCS");
        }
        if (o.Cluster!.Initialize.IsMissing && MayInitialize(o) is { } why)
        {
            return Wait(o, "bootstrap_waits", why);
        }
        if (o.Cluster.Initialize.IsMissing)
        {
            return Act(o with { Memory = o.Memory with { AskedForInitialize = true } }, "initialize_race",
                "tries to be the one that makes the new cluster", s_second, new HaAction.RaceInitialize());
        }
        if (FindInitialize(o) is { } found)
        {
            return found;
        }
        if (!o.Cluster.Initialize.IsInProgress && HasRemote(o))
        {
            return Act(o, "clones", "copies the remote primary: nobody leads this standby cluster", null,
                new HaAction.CopyMember(null) { FromRemote = true });
        }
        if (!o.Cluster.Initialize.IsInProgress && o.Options.CanCloneWithoutLeader)
        {
            return Act(o, "clones", "restores a copy that needs no leader", null, new HaAction.CopyMember(null));
        }
        return Wait(o, "bootstrap_waits", o.Cluster.Initialize.IsInProgress
            ? "waits for the leader to bootstrap"
            : "waits for a leader to copy");
    }

    /// <summary>Why this member may not initialise a new cluster; null when it may.</summary>
    private static string? MayInitialize(Observation o) => o switch
    {
        { Options.MayBootstrap: false } => "waits for another member to bootstrap: it has no bootstrap section",
        { Options.Tags.NoFailover: true } => "waits for another member to bootstrap: it is tagged nofailover",
        { Options.WatchdogProblem: { } problem } => $"does not make a new cluster: {problem}",
        { Memory.EarlierLeaseUntil: not null } =>
            "does not make a new cluster: the DCS was set up anew or restored, and a leader may come back",
        _ when o.Cluster!.Members.Values.FirstOrDefault(m => m.Name != o.Self && HasData(m)) is { } other =>
            $"does not make a new cluster: {other.Name} has data of one",
        _ when o.Failsafe.PingLeft > TimeSpan.Zero =>
            $"does not make a new cluster: {o.Failsafe.PingedBy} leads by failsafe mode",
        _ => null,
    };

    /// <summary>By its own record it could make the cluster come back: the store lost its keys, not the data.</summary>
    private static bool HasData(Member member) =>
        member is { XlogLocation: not null, Role: Role.Primary or Role.StandbyLeader or Role.Replica };

    /// <summary>This member owns the initialize key: the steps from the empty directory to the first leader.</summary>
    private static Decision DecideBootstrapping(Observation o)
    {
        if (o.Memory.BootstrapFailure is { } failure)
        {
            return o.Ended?.Kind == JobKind.AbandonBootstrap
                ? Act(o, "bootstrap_failed", $"ends: the bootstrap failed: {failure}", null, new HaAction.Exit(1))
                : Act(o, "bootstrap_failed", $"puts the failed bootstrap aside: {failure}", null,
                    new HaAction.AbandonBootstrap());
        }
        if (!o.Memory.BootstrapDone)
        {
            return o.IsStandbyCluster
                ? Act(o, "bootstraps", "makes a new standby cluster: copies the remote primary", null,
                    new HaAction.BootstrapStandby(RemoteOf(o.Config)))
                : Act(o, "bootstraps", "makes a new cluster", null, new HaAction.Bootstrap());
        }
        if (o.Local is { Data: DataDirectory.Ready, Server: not ServerState.Running, Control.SystemId: { } made }
            && o.Cluster?.Initialize.SystemId == made)
        {
            // The cluster's identity is written: these data are the only ones of it, and are never put aside.
            return new Decision("initialized", "has initialized a new cluster, whose server does not answer", [],
                o.Memory with { InitializeRevision = 0, BootstrapDone = false }, TimeSpan.Zero);
        }
        if (!o.IsDcsLive && o.Local is { Data: DataDirectory.Ready, Server: not ServerState.Running })
        {
            // The answer to the write may have been lost: then the data are the cluster's.
            return Wait(o, "bootstrap_waits",
                "has made a new cluster, whose server has ended: waits for the DCS, which may have its keys", s_second);
        }
        if (o.Local is not { Server: ServerState.Running, Control: { } control }
            || (!o.Local.IsPrimary && !o.IsStandbyCluster))
        {
            return new Decision("bootstrap_failed", "lost the server of the new cluster",
                [], o.Memory with { BootstrapFailure = "PostgreSQL does not run any more" }, TimeSpan.Zero);
        }
        if (o.Leads)
        {
            return new Decision("initialized", "has initialized a new cluster", [],
                o.Memory with { InitializeRevision = 0, BootstrapDone = false }, TimeSpan.Zero);
        }
        if (o.Leader is { } other && other != o.Self)
        {
            return new Decision("bootstrap_failed", $"finds {other} leading the cluster that it was making",
                [], o.Memory with { BootstrapFailure = $"{other} leads this scope" }, TimeSpan.Zero);
        }
        if (o.Options.WatchdogProblem is { } problem)
        {
            return new Decision("bootstrap_failed", $"cannot lead the new cluster: {problem}",
                [], o.Memory with { BootstrapFailure = problem }, TimeSpan.Zero);
        }
        if (FindInitialize(o) is { } found)
        {
            return found;
        }
        if (LostInitialize(o, control.SystemId) is { } lost)
        {
            return new Decision("bootstrap_failed", $"finds that {lost}", [], o.Memory with { BootstrapFailure = lost },
                TimeSpan.Zero);
        }
        if (o.Cluster!.Initialize.IsMissing)
        {
            // Its lease has ended meanwhile, and the key with it. It is created empty, and on a lease, again: a request
            // that named the data at once could be carried out after they were put aside.
            return Act(o with { Memory = o.Memory with { AskedForInitialize = true } }, "initialize_race",
                "takes the empty initialize key again: it went with its lease", s_soon, new HaAction.RaceInitialize());
        }
        var keys = ImmutableArray.CreateBuilder<HaAction>();
        if (o.Cluster.Initialize.SystemId != control.SystemId)
        {
            keys.Add(new HaAction.WriteInitialize(control.SystemId, o.Memory.InitializeRevision));
        }
        if (o.Cluster.Config is null)
        {
            keys.Add(new HaAction.WriteConfig());
        }
        keys.Add(new HaAction.AcquireLeader());
        return Act(o, "initializes", "writes the keys of the new cluster and takes the leader key", s_soon,
            keys.ToImmutable());
    }

    /// <summary>
    /// The answer to its creation was lost; the key hangs on the lease that carries our own member key.
    /// </summary>
    private static Decision? FindInitialize(Observation o) =>
        o.Memory.AskedForInitialize && o.Cluster!.Initialize is { IsInProgress: true, LeaseId: not 0 } asked
            && asked.ModRevision != o.Memory.InitializeRevision
            && asked.LeaseId == o.Cluster.Members.GetValueOrDefault(o.Self)?.LeaseId
            ? new Decision("initialize_race", "finds that the empty initialize key is its own", [],
                o.Memory with { InitializeRevision = asked.ModRevision }, TimeSpan.Zero)
            : null;

    /// <summary>
    /// Another member has begun, or made, the cluster while we made ours; null while the scope is ours, or free.
    /// </summary>
    /// <param name="o">What is known.</param>
    /// <param name="systemId">Of the database that we made; null while it is being made.</param>
    private static string? LostInitialize(Observation o, string? systemId) => o.Cluster!.Initialize switch
    {
        _ when !o.IsDcsLive || o.Cluster.Revision < o.Memory.InitializeRevision => null,   // an older view says nothing
        { IsMissing: true } => null,
        { IsInProgress: true } key when key.ModRevision != o.Memory.InitializeRevision =>
            "another member makes the cluster by now",
        { IsInProgress: false } key when systemId is null || key.SystemId != systemId =>
            "another member has made the cluster meanwhile",
        _ => null,
    };
}
