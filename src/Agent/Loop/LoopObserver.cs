using Routing.Agent.Postgres;
using Routing.Agent.Status;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>
/// Makes the observation of a run: PostgreSQL, the cluster, the lease, jobs and orders at one moment.
/// </summary>
internal sealed class LoopObserver(
    IPostgres postgres, ClusterObserver cluster, ConfigInForce config, LeaseKeeper keeper, IPrimaryGuard guard,
    FailsafeConsents consents, JobSlot jobs, OrderDesk orders, LogicalSlotWorker slots, LoopClock clock,
    Func<TimeSpan?> checkpointedSince, TimeProvider time)
{
    private int _inheritedPid;

    /// <summary>Takes over the order that an earlier life of this agent has left with the fence.</summary>
    public void Begin() => _inheritedPid = guard.ArmedPid;

    /// <summary>Looks at everything that a decision may depend on.</summary>
    /// <param name="member">This member, as its configuration says.</param>
    /// <param name="memory">What earlier runs decided to remember.</param>
    /// <param name="learned">What the last run's actions told.</param>
    /// <param name="shutdownRequested">The agent was told to stop.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<Sighting> ObserveAsync(
        LocalMember member, LoopMemory memory, Learned learned, bool shutdownRequested,
        CancellationToken cancellationToken)
    {
        var (job, ended) = jobs.Take();
        var observedAt = time.GetTimestamp();
        var local = await postgres.ObserveAsync(cancellationToken);
        if (local.PostmasterPid > 0 && local.PostmasterPid == _inheritedPid)
        {
            // an earlier agent's order to its fence names this server: it is a primary, or was to become one
            local = local with { PromotionAsked = true };
        }
        var (snapshot, isLive, lastContact) = cluster.Look();
        if (snapshot is not null)
        {
            orders.Recall(snapshot.Members.GetValueOrDefault(member.Name)?.ScheduledRestart);
        }
        var consent = consents.Newest;
        var now = time.GetTimestamp();
        var observation = new Observation
        {
            Self = member.Name,
            Options = new MemberOptions(
                member.Tags, member.MayBootstrap, guard.WatchdogProblem,
                CanCloneWithoutLeader: local.Data == DataDirectory.Empty && member.CanCloneWithoutLeader(config.Config))
            {
                Site = member.Site,
                CanRestore = member.CanRestore,
            },
            Cluster = snapshot,
            IsDcsLive = isLive,
            Config = config.Config,
            Timing = config.Timing,
            Local = local,
            Lease = keeper.View,
            Job = job,
            Ended = ended,
            Peers = learned.Peers,
            Activity = learned.Activity,
            CheckpointedSince = checkpointedSince(),
            Failsafe = new FailsafeView(
                keeper.VouchedUntil is { } until ? time.GetElapsedTime(now, until) : TimeSpan.Zero,
                learned.FailsafeAskedAt,
                consent?.Name,
                consent?.Left(config.Timing.Ttl, now, time) ?? TimeSpan.Zero)
            {
                Positions = learned.FailsafePositions,
                PingSlots = consent?.Slots,
            },
            LogicalSlots = slots.Report,
            Now = clock.Now,
            Took = time.GetElapsedTime(observedAt),
            Clock = time.GetUtcNow(),
            Order = orders.Open,
            ScheduledRestart = orders.Scheduled,
            ShutdownRequested = shutdownRequested,
            Memory = memory,
        };
        // A watch that is live has heard from etcd a moment ago, even when no key has changed for long.
        return new Sighting(observation, observedAt, isLive ? observedAt : lastContact) { View = cluster.Seen };
    }
}
