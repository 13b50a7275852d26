using Routing.Cluster;

namespace Routing.Ha;

public static partial class HaLoop
{
    private static readonly Backoff s_pauses = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30));

    /// <summary>
    /// The memory with what this observation adds to it: the job that ended, and what began or ended to be true.
    /// </summary>
    private static LoopMemory Remember(Observation o)
    {
        var memory = o.Ended is { } ended ? Absorb(o.Memory, ended) : o.Memory;
        var leader = o.Leader;
        memory = RememberLife(o, memory);
        memory = RememberUnlocked(o, memory);
        memory = memory with
        {
            Health = HealthRules.Remember(memory.Health, o.Local, o.Now),
            Request = o.Cluster?.Failover is not { } request ? null
                : memory.Request is { } known && known.Revision == request.ModRevision ? known
                : (request.ModRevision, o.Now),
            Switchover = RememberSwitchover(o, memory),
            HasRun = memory.HasRun || o.Local.Server == ServerState.Running,
            Published = o.Cluster is { } seen ? memory.Published.After(seen) : memory.Published,
            PromotedIn = o.Ended is { Kind: JobKind.Promote, Result: JobResult.Done } && o.Lease.HoldsLeader
                ? o.Lease.Term
                : memory.PromotedIn,
            Members = o.Cluster is { } cluster
                ? WithRemote(o, memory.Members.After(cluster, o.Self, o.Paused, o.Now))
                : memory.Members,
            RemoteAnswer = leader == o.Self && !o.IsStandbyCluster ? memory.RemoteAnswer : null,
            PreparingSince = leader == o.Self ? memory.PreparingSince : null,
            LeavingSince = memory.LeavingSince is { } since && (o.ShutdownRequested || o.Order is not null
                || o.Job is not null || CopiesSlotsSoon(o, memory))
                    ? since
                    : null,
            SteppedDownAt = leader is null || leader == o.Self ? memory.SteppedDownAt : null,
        };
        if (o.Cluster?.Leader is { } key && key.Term > memory.DivergenceTerm)
        {
            // A new term: what fitted the old primary may not fit the new one.
            memory = memory with
            {
                DivergenceTerm = key.Term,
                Divergence = DivergenceState.Unchecked,
                DivergenceCheckedAt = null,
                PromotionFailure = null,
                RewindFailures = 0,
                RewindObstacles = 0,
                RetryAt = memory.RewindProblem is null ? memory.RetryAt : null,
                RewindProblem = null,
            };
        }
        return WithServer(o, WithRewindBasis(o, WithPause(o, memory)));
    }

    /// <summary>What the state of the local server adds.</summary>
    private static LoopMemory WithServer(Observation o, LoopMemory memory)
    {
        if (o.Local.Server != ServerState.Running || o.Job?.Kind is JobKind.Restart or JobKind.CopySlots)
        {
            return memory.NotStreamingSince is null ? memory : memory with { NotStreamingSince = null };
        }
        if (memory is not
            { DownSince: null, StartLimit: null, StartFailure: null, RestartFailed: false, StaysPrimary: false })
        {
            memory = memory with
            {
                DownSince = null,
                StartLimit = null,
                StartFailure = null,
                RestartFailed = false,
                StaysPrimary = false,
            };
        }
        return o.Local.IsPrimary ? WithPrimary(memory) : WithStandby(o, memory);
    }

    /// <summary>
    /// What a primary writes from here on fits no other: should it stop, its data are compared first.
    /// </summary>
    private static LoopMemory WithPrimary(LoopMemory memory) =>
        memory is { Promoting: false, NotStreamingSince: null, Divergence: DivergenceState.Unchecked }
            ? memory
            : memory with { Promoting = false, NotStreamingSince = null, Divergence = DivergenceState.Unchecked };

    private static LoopMemory WithStandby(Observation o, LoopMemory memory)
    {
        TimeSpan? notStreamingSince = o.Local.IsStreaming ? null : memory.NotStreamingSince ?? o.Now;
        var divergence = o.Local is { IsStreaming: true, Damage: DataDamage.None }
            ? DivergenceState.Fits
            : memory.Divergence;
        return memory is { Demoted: false, FailedStandbyStarts: 0, StandbyStartFailure: null }
            && memory.NotStreamingSince == notStreamingSince && memory.Divergence == divergence
                ? memory
                : memory with
                {
                    Demoted = false,
                    FailedStandbyStarts = 0,
                    StandbyStartFailure = null,
                    NotStreamingSince = notStreamingSince,
                    Divergence = divergence,
                };
    }

    /// <summary>
    /// Since when no member leads. When the keys that a leader writes have changed since, another member has led in
    /// between, and its term was over before this member saw it: the time counts from now.
    /// </summary>
    private static LoopMemory RememberUnlocked(Observation o, LoopMemory memory)
    {
        if (o.Leader is not null || o.Cluster is not { } cluster)
        {
            return memory is { UnlockedSince: null, UnlockedBasis: null }
                ? memory
                : memory with { UnlockedSince = null, UnlockedBasis = null };
        }
        var basis = RaceBasis.Of(cluster);
        var hasLedSince = memory.UnlockedBasis is { } before && before != basis;
        return memory with
        {
            UnlockedSince = hasLedSince ? o.Now : memory.UnlockedSince ?? o.Now,
            UnlockedBasis = basis,
        };
    }

    /// <summary>
    /// A new life of the store: revisions count anew, and a leader of the life before may act as such for one more ttl.
    /// </summary>
    private static LoopMemory RememberLife(Observation o, LoopMemory memory)
    {
        if (o.Cluster is not { } cluster)
        {
            return memory;
        }
        // With what the agent's earlier process knew, the first look may already show that the store began anew.
        if (memory.Life is { } known ? known != cluster.Life.Number : cluster.Life.From > 0)
        {
            var ttl = memory.LastTtl > o.Timing.Ttl ? memory.LastTtl : o.Timing.Ttl;
            memory = memory with
            {
                EarlierLeaseUntil = o.Now + ttl,
                EarlierLeader = memory.LastLeader,
                Request = null,
                Sync = memory.Sync is { } sync ? sync with { Wrote = null } : null,
                UnlockedSince = o.Now,
                // The key that made this member the one to bootstrap belongs to the earlier life, and another may have
                // won since.
                BootstrapFailure = memory.BootstrapFailure
                    ?? (memory.WonInitialize && !o.Lease.HoldsLeader
                        ? "the DCS was set up anew or restored meanwhile"
                        : null),
            };
        }
        var isCarriedOver =
            cluster.Leader is { } key && key.Term.Life == cluster.Life.Number && key.Holder == memory.EarlierLeader;
        TimeSpan? earlierLeaseUntil =
            isCarriedOver || o.Now >= memory.EarlierLeaseUntil ? null : memory.EarlierLeaseUntil;
        return memory.Life == cluster.Life.Number && memory.EarlierLeaseUntil == earlierLeaseUntil
            && memory.LastLeader == o.Leader && memory.LastTtl == o.Timing.Ttl
                ? memory
                : memory with
                {
                    Life = cluster.Life.Number,
                    EarlierLeaseUntil = earlierLeaseUntil,
                    LastLeader = o.Leader,
                    LastTtl = o.Timing.Ttl,
                };
    }

    private static LoopMemory Absorb(LoopMemory memory, JobEnd ended) => (ended.Kind, ended.Result) switch
    {
        (JobKind.Bootstrap, JobResult.Done) => memory with { BootstrapDone = true },
        (JobKind.Bootstrap, _) => memory with { BootstrapFailure = ended.Detail },
        (JobKind.Clone or JobKind.Reinitialize, JobResult.Done) =>
            memory with { FailedClones = 0, Divergence = DivergenceState.Fits, RetryAt = null, CopiesLeader = false },
        (JobKind.Clone or JobKind.Reinitialize, _) =>
            memory with
            {
                FailedClones = memory.FailedClones + 1, RetryAt = ended.EndedAt + PauseAfter(memory.FailedClones),
            },
        (JobKind.StartPrimary, JobResult.Failed) => memory with { StartFailure = ended.Detail },
        // After the first the leader key is given up, after the second a standby tries again later. A server that runs
        // clears both.
        (JobKind.Restart, JobResult.Failed) => memory with
        {
            RestartFailed = true,
            StartFailure = ended.Detail,
            FailedStandbyStarts = memory.FailedStandbyStarts + 1,
            RetryAt = ended.EndedAt + PauseAfter(memory.FailedStandbyStarts),
        },
        (JobKind.StartStandby, JobResult.Failed) => memory with
        {
            FailedStandbyStarts = memory.FailedStandbyStarts + 1,
            StandbyStartFailure = ended.Detail,
            RetryAt = ended.EndedAt + PauseAfter(memory.FailedStandbyStarts),
            Divergence = DivergenceState.Unchecked,
        },
        (JobKind.Promote, JobResult.Failed) => memory with { Promoting = false, PromotionFailure = ended.Detail },
        (JobKind.Promote, JobResult.Cancelled) => memory with { Promoting = false },
        (JobKind.CheckDivergence, JobResult.Done) =>
            memory with { Divergence = DivergenceState.Fits, DivergenceCheckedAt = ended.EndedAt },
        (JobKind.CheckDivergence, JobResult.Diverged) =>
            memory with { Divergence = DivergenceState.Diverged, DivergenceCheckedAt = ended.EndedAt },
        (JobKind.CheckDivergence, _) => memory with { DivergenceCheckedAt = ended.EndedAt },
        (JobKind.Rewind, JobResult.Done) => memory with
        {
            Divergence = DivergenceState.Fits, RewindFailures = 0, RewindObstacles = 0, RewindProblem = null,
            RetryAt = null,
        },
        (JobKind.Rewind, JobResult.CannotTell) => memory with
        {
            RewindObstacles = memory.RewindObstacles + 1,
            RewindProblem = ended.Detail,
            RewindFailedAt = ended.EndedAt,
            RetryAt = ended.EndedAt + PauseAfter(memory.RewindObstacles),
        },
        (JobKind.Rewind, JobResult.Failed) => memory with
        {
            RewindFailures = memory.RewindFailures + 1,
            RewindProblem = ended.Detail,
            RewindFailedAt = ended.EndedAt,
            RetryAt = ended.EndedAt + PauseAfter(memory.RewindFailures),
            Divergence =
                memory.RewindFailures + 1 < MostRewinds ? DivergenceState.Diverged : DivergenceState.RewindFailed,
        },
        (JobKind.CopySlots, _) => memory with
        {
            SlotCopies = ended.EndedAt - memory.SlotsCopiedAt < s_slotCopyCalm ? memory.SlotCopies + 1 : 1,
            SlotsCopiedAt = ended.EndedAt,
            NotStreamingSince = null,
        },
        (JobKind.AskRemote, JobResult.Failed) => memory with { RemoteAnswer = (ended.EndedAt, ended.Detail) },
        (JobKind.AskRemote, JobResult.Done) => memory with { RemoteAnswer = (ended.EndedAt, null) },
        // What has said that it is a primary, and is silent now, may be one still.
        (JobKind.AskRemote, JobResult.CannotTell) =>
            memory with { RemoteAnswer = (ended.EndedAt, memory.RemoteAnswer?.Primary) },
        (JobKind.Restore, JobResult.Failed) => memory with { RestoreFailure = (memory.Restoring ?? "", ended.Detail) },
        (JobKind.Restore, JobResult.Done) => memory with { RestoreReached = memory.Restoring },
        (JobKind.PutBack, not JobResult.Done) =>
            memory with
            {
                FailedClones = memory.FailedClones + 1, RetryAt = ended.EndedAt + PauseAfter(memory.FailedClones),
            },
        (JobKind.Follow, _) => memory with { NotStreamingSince = null, RetryAt = ended.EndedAt + s_soon },
        (JobKind.Demote, JobResult.Failed) => memory with { StaysPrimary = true, Demoted = false },
        (JobKind.Demote, JobResult.Done) => memory with { SteppedDownAt = ended.EndedAt, DownSince = null },
        _ => memory,
    };

    /// <summary>In a pause people promote, stop and copy by hand: with its end nothing is known of the data.</summary>
    private static LoopMemory WithPause(Observation o, LoopMemory memory)
    {
        if (o.Cluster is null || memory.WasPaused == o.Paused)
        {
            return memory;
        }
        memory = memory with { WasPaused = o.Paused };
        return o.Paused
            ? memory
            : memory with
            {
                Divergence = DivergenceState.Unchecked,
                DivergenceCheckedAt = null,
                RewindFailures = 0,
                RewindObstacles = 0,
                RewindProblem = null,
                RetryAt = null,
            };
    }

    /// <summary>
    /// A changed configuration, or a leader that went on to another timeline, gives failed rewinds another chance at
    /// once.
    /// </summary>
    private static LoopMemory WithRewindBasis(Observation o, LoopMemory memory)
    {
        var basis = (o.Config.ModRevision, o.Cluster?.LeaderMember?.Timeline ?? memory.RewindBasis.Timeline);
        if (basis == memory.RewindBasis)
        {
            return memory;
        }
        var isFirst = memory.RewindBasis == default;
        memory = memory with { RewindBasis = basis };
        return isFirst || memory.RewindProblem is null || o.Job is not null
            ? memory
            : memory with
            {
                RewindFailures = 0,
                RewindObstacles = 0,
                RewindProblem = null,
                RetryAt = null,
                Divergence =
                    memory.Divergence == DivergenceState.RewindFailed ? DivergenceState.Diverged : memory.Divergence,
            };
    }

    /// <summary>1, 2, 4 … at most 30 s, by the number of failures before this one.</summary>
    private static TimeSpan PauseAfter(int earlierFailures) => s_pauses.After(earlierFailures + 1);

    private static bool MustWait(Observation o, out TimeSpan left)
    {
        left = (o.Memory.RetryAt ?? TimeSpan.Zero) - o.Now;
        return left > TimeSpan.Zero;
    }
}
