using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>Hangs on the status board what a run has seen and decided.</summary>
internal sealed class StatusPublisher(
    StatusBoard board, LeaseKeeper keeper, IPrimaryGuard guard, FailoverClock failover, TimeProvider time)
{
    private (Term Term, TimeSpan Ttl) _longestTtl;

    /// <summary>Publishes a run.</summary>
    /// <param name="sighting">What was seen, and when.</param>
    /// <param name="decision">What was decided.</param>
    public void Publish(Sighting sighting, Decision decision)
    {
        var (o, observedAt, confirmedAt) = sighting;
        var longestTtl = LongestTtl(o);
        board.Update(status => status with
        {
            Cluster = o.Cluster,
            ClusterConfirmedAt = o.Cluster is null ? null : confirmedAt,
            ClusterConfirmedTime = o.Cluster is null ? null : time.GetUtcNow() - time.GetElapsedTime(confirmedAt),
            IsDcsSilent = !o.IsDcsLive,
            Config = o.Config,
            Timing = o.Timing,
            Postgres = o.Local,
            ObservedAt = observedAt,
            State = Published.State(o),
            Role = Published.Role(o),
            IsInArchiveRecovery = Published.ReplicationState(o) == "in archive recovery",
            LastFailover = failover.Last,
            Term = o.Lease.HoldsLeader ? o.Lease.Term : o.Cluster?.Leader?.Term ?? default,
            Tags = o.Options.Tags,
            Site = o.Options.Site,
            WatchdogProblem = o.Options.WatchdogProblem,
            Damage = HaLoop.DamageOf(o with { Memory = decision.Memory }),
            LastLeader = decision.Memory.Members.Leader ?? status.LastLeader,
            LongestTtl = longestTtl,
            Health = decision.Memory.Health.Problem,
            Lags = o.Cluster is null ? status.Lags : status.Lags.With(time.GetUtcNow(), o.Cluster),
            SystemId = o.Local.Control?.SystemId,
            ScheduledRestart = o.ScheduledRestart,
            FailsafeUntil = keeper.VouchedUntil,
            ReasonCode = decision.Code,
            Reason = decision.Reason,
            Job = o.Job,
            Seen = o with { Memory = decision.Memory },
            Fence = !guard.IsFenced ? FenceState.None : o.Local.AcceptsWrites ? FenceState.Armed : FenceState.Idle,
        });
    }

    /// <summary>The loop runs again after this time at the latest.</summary>
    public void PlanRun(TimeSpan wait)
    {
        var at = time.TimestampAfter(wait);
        board.Update(status => status with { NextRunAt = at });
    }

    /// <summary>A leader that is cut off knows no newer ttl than that of its term's beginning.</summary>
    private TimeSpan LongestTtl(Observation o)
    {
        var least = o.Timing.Ttl > Timing.CommonMinimum.Ttl ? o.Timing.Ttl : Timing.CommonMinimum.Ttl;
        if (o.Cluster?.Leader?.Term is { } term && term != _longestTtl.Term)
        {
            _longestTtl = (term, least);
        }
        _longestTtl.Ttl = least > _longestTtl.Ttl ? least : _longestTtl.Ttl;
        return _longestTtl.Ttl;
    }
}
