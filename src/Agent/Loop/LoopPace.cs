using Routing.Agent.Native;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>When the loop runs again, and how long a run may take.</summary>
internal sealed class LoopPace(LeaseKeeper keeper, TimeProvider time)
{
    /// <summary>
    /// What a run does may not outlast the lease: then a primary has to be stopped, and only the next run does that.
    /// </summary>
    public TimedToken WithinLease(DynamicConfig config, CancellationToken cancellationToken)
    {
        var lease = keeper.View;
        // In failsafe mode the members are asked when half of the lease is over: the second half is needed for that.
        var half = lease.Ttl / 2;
        var left = lease.LeaderLeft - (config.FailsafeMode && lease.LeaderLeft > half ? half : lease.SafetyMargin);
        return lease.HoldsLeader && left > TimeSpan.Zero
            ? TimedToken.After(left, time, cancellationToken)
            : TimedToken.With(cancellationToken);
    }

    /// <summary>The next run at the latest: what the decision says, the end of the lease, the heartbeat.</summary>
    public TimeSpan UntilNextRun(Observation observation, Decision decision)
    {
        // On whole multiples of loop_wait, where the watch and the keeper have their moments too: an idle agent wakes
        // once for all three.
        var loopWait = observation.Timing.LoopWait;
        var aligned = WatchPace.UntilNext(loopWait, time);
        var wait = aligned < loopWait ? aligned : loopWait;
        if (decision.WakeIn is { } soon && soon < wait)
        {
            wait = soon;
        }
        var lease = keeper.View;
        if (lease.HoldsLeader && observation.Local.HasProcess)
        {
            var margin = lease.LeaderLeft - lease.SafetyMargin;
            if (margin > TimeSpan.Zero && margin < wait)
            {
                wait = margin + TimeSpan.FromMilliseconds(1);
            }
            // In failsafe mode the members have to be asked while there is time: as soon as half of the lease is over,
            // which may have happened during this run, by its requests that nobody answered.
            var untilHalf = lease.LeaderLeft - (lease.Ttl / 2);
            if (observation.Config.FailsafeMode && untilHalf < wait
                && observation.Lease.LeaderLeft >= observation.Lease.Ttl / 2)
            {
                wait = untilHalf > TimeSpan.Zero
                    ? untilHalf + TimeSpan.FromMilliseconds(1)
                    : TimeSpan.FromMilliseconds(1);
            }
        }
        return wait;
    }
}
