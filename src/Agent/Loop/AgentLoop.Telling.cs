using Microsoft.Extensions.Logging;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Loop;

// What a run tells: the log, the diary, callbacks, the status board.
internal sealed partial class AgentLoop
{
    /// <summary>
    /// One sentence of reason per change of decision to the log; what has changed to the diary.
    /// </summary>
    private void Announce(Observation o, Decision decision)
    {
        _chronicle.See(o, decision);
        var term = o.Cluster?.Leader?.Term ?? default;
        var reason = $"{(o.Paused ? "PAUSE: " : "")}{decision.Reason}";
        if (reason != _lastReason)
        {
            _lastReason = reason;
            LogDecision(reason, decision.Code);
        }
        if (o.Leader != _lastLeader)
        {
            LogLeader(o.Leader ?? "nobody", _member.Name, term.Revision);
            _lastLeader = o.Leader;
        }
        var role = Published.Role(o);
        _lastRole = role;
        if (o.Ended is { Result: JobResult.Done } ended)
        {
            RunCallback(ended.Kind);
        }
        if (_callbackRole == Role.Primary && !o.Local.HasProcess
            && decision.Actions.Any(action => action is HaAction.ReleaseLeader))
        {
            // Its server is down and does not come back as a primary: an address that follows the role must not wait
            // for the next start.
            _callbackRole = Role.Demoted;
            _postgres.RunCallback("on_role_change", Role.Demoted);
        }
        if (_callbackRole is null && o.Cluster is not null && o.Local.Server == ServerState.Running && o.Job is null
            && _memory.BootstrapFailure is null)
        {
            // PostgreSQL was running already when this agent started.
            _callbackRole = role;
            _postgres.RunCallback("on_start", role);
        }
    }

    /// <summary>The operator's callbacks. A change of role takes the place of the start that it came with.</summary>
    private void RunCallback(JobKind ended)
    {
        Role? role = ended switch
        {
            JobKind.Promote or JobKind.StartPrimary or JobKind.Bootstrap => Role.Primary,
            JobKind.StartStandby => Role.Replica,
            _ => null,
        };
        if (role is { } now)
        {
            _postgres.RunCallback(_callbackRole is { } before && before != now ? "on_role_change" : "on_start", now);
            _callbackRole = now;
        }
        else if (ended == JobKind.Restart)
        {
            _postgres.RunCallback("on_restart", _callbackRole ?? _lastRole);
        }
        else if (ended == JobKind.Demote)
        {
            _postgres.RunCallback("on_stop", _callbackRole ?? Role.Replica);
        }
    }

    private void Publish(Observation o, Decision decision)
    {
        _board.Update(status => status with
        {
            Cluster = o.Cluster,
            ClusterConfirmedAt = o.Cluster is null ? null : _confirmedAt,
            ClusterConfirmedTime = o.Cluster is null ? null : _time.GetUtcNow() - _time.GetElapsedTime(_confirmedAt),
            IsDcsSilent = !o.IsDcsLive,
            Config = o.Config,
            Timing = o.Timing,
            Postgres = o.Local,
            ObservedAt = _observedAt,
            State = Published.State(o),
            Role = Published.Role(o),
            IsInArchiveRecovery = Published.ReplicationState(o) == "in archive recovery",
            LastFailover = _failover.Last,
            Term = o.Lease.HoldsLeader ? o.Lease.Term : o.Cluster?.Leader?.Term ?? default,
            Tags = _member.Tags,
            WatchdogProblem = o.Options.WatchdogProblem,
            Damage = HaLoop.DamageOf(o with { Memory = decision.Memory }),
            LastLeader = _memory.Members.Leader ?? status.LastLeader,
            LongestTtl = LongestTtl(o),
            Health = decision.Memory.Health.Problem,
            SystemId = o.Local.Control?.SystemId,
            ScheduledRestart = o.ScheduledRestart,
            FailsafeUntil = _keeper.VouchedUntil,
            ReasonCode = decision.Code,
            Reason = decision.Reason,
            Job = o.Job,
            Seen = o with { Memory = decision.Memory },
            Fence = !_guard.IsFenced ? FenceState.None : o.Local.AcceptsWrites ? FenceState.Armed : FenceState.Idle,
        });
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

    [LoggerMessage(EventId = 1001, Level = LogLevel.Information, Message = "This member {Reason} [{Code}]")]
    private partial void LogDecision(string reason, string code);

    [LoggerMessage(
        EventId = 1002, Level = LogLevel.Information, Message = "Lock owner: {Leader}; I am {Self} (term {Term})")]
    private partial void LogLeader(string leader, string self, long term);
}
