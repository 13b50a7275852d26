using Microsoft.Extensions.Logging;
using Routing.Agent.Fence;
using Routing.Agent.Native;
using Routing.Agent.Watchdog;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Agent.Loop;

/// <summary>The fence and the hardware watchdog behind one face.</summary>
/// <remarks>
/// The loop itself stops a primary one safety margin before its lease ends; the fence acts half a margin later, the
/// watchdog by its own timeout.
/// </remarks>
internal sealed partial class PrimaryGuard(
    IFence fence, IWatchdog watchdog, Func<Timing> timing, TimeProvider time, ILogger<PrimaryGuard> logger) : IPrimaryGuard
{
    private static readonly TimeSpan s_takesHold = TimeSpan.FromMilliseconds(500);

    private readonly Lock _lock = new();
    private int _pid;
    private Conviction _conviction;
    private long _lastFencing = -1;
    private (TimeSpan Ttl, TimeSpan LoopWait) _watchdogTimes;
    private Timing _checkedTiming;
    private bool _isFenced;

    /// <inheritdoc/>
    public string? WatchdogProblem => watchdog.IsUsable ? null : watchdog.Problem ?? "the watchdog is required and not usable";

    /// <inheritdoc/>
    public bool IsFenced => Volatile.Read(ref _isFenced);

    /// <inheritdoc/>
    public int ArmedPid => fence.ArmedPid;

    /// <inheritdoc/>
    public void Arm(int postmasterPid)
    {
        lock (_lock)
        {
            if (_conviction.Ttl == TimeSpan.Zero)
            {
                return;   // nothing was told yet: the next run comes at once
            }
            AdaptWatchdog(isAnother: _pid != postmasterPid);
            if (_pid == postmasterPid && fence.IsArmed)
            {
                return;
            }
            if (ProcessStat.Read(postmasterPid) is not { } stat)
            {
                return;   // it is gone already
            }
            _pid = postmasterPid;
            fence.Arm(postmasterPid, stat.StartTicks, _conviction.Deadline);
            LogArmed(postmasterPid);
        }
    }

    /// <inheritdoc/>
    public void Adopt(Conviction conviction)
    {
        lock (_lock)
        {
            var (isLonger, isMoved) = (conviction.Until > _conviction.Until, conviction.Deadline != _conviction.Deadline);
            _conviction = conviction;
            if (_pid == 0)
            {
                return;
            }
            if (isMoved)
            {
                // Never the same one twice: after the machine was suspended it would be a later moment of the fence's clock.
                fence.ExtendUntil(conviction.Deadline);
            }
            AdaptWatchdog(isAnother: false);
            if (isLonger)
            {
                watchdog.KeepAlive();
            }
        }
    }

    /// <inheritdoc/>
    public void BringForward(long deadline)
    {
        lock (_lock)
        {
            fence.BringForward(deadline);
        }
    }

    /// <inheritdoc/>
    public void Disarm()
    {
        lock (_lock)
        {
            if (_pid == 0 && !fence.IsArmed)
            {
                return;
            }
            _pid = 0;
            fence.Disarm();
            watchdog.Disable();
            LogDisarmed();
        }
    }

    /// <summary>Keeps a fence running, and reports what it did, until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            await TendAsync(cancellationToken);
            await Task.Delay(WatchPace.UntilNext(WatchPace.For(timing().Ttl), time), time, cancellationToken)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>One look after the fence and the watchdog.</summary>
    public async Task TendAsync(CancellationToken cancellationToken)
    {
        try
        {
            await fence.EnsureRunningAsync(cancellationToken);
            // One that was started or given an order a moment ago has yet to take hold: "no fence" would lengthen everybody's leases.
            Volatile.Write(ref _isFenced, await fence.WaitUntilGuardingAsync(s_takesHold, cancellationToken));
        }
        catch (IOException problem)
        {
            Volatile.Write(ref _isFenced, false);
            LogNoFence(problem.Message);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return;
        }
        lock (_lock)
        {
            var now = timing();
            if (!watchdog.IsActive && (_checkedTiming != now || !watchdog.IsUsable))
            {
                _checkedTiming = now;
                watchdog.Check(now.Ttl, now.LoopWait);
            }
        }
        if (fence.LastFencing is { } report && report.Number != _lastFencing)
        {
            if (_lastFencing >= 0 || time.GetUtcNow() - report.At < TimeSpan.FromMinutes(10))
            {
                LogFenced(report.PostmasterPid, report.At, report.Reason, report.Took.TotalMilliseconds);
            }
            _lastFencing = report.Number;
        }
    }

    /// <summary>The watchdog's time is that of the lease which the key hangs on.</summary>
    private void AdaptWatchdog(bool isAnother)
    {
        var times = (_conviction.Ttl, _conviction.LoopWait);
        if (_watchdogTimes != times || isAnother)
        {
            _watchdogTimes = times;
            watchdog.TryActivate(times.Ttl, times.LoopWait);
        }
    }

    [LoggerMessage(EventId = 1501, Level = LogLevel.Information, Message = "The fence guards the primary with process id {Pid}")]
    private partial void LogArmed(int pid);

    [LoggerMessage(EventId = 1502, Level = LogLevel.Information, Message = "The fence stands down: no primary runs here")]
    private partial void LogDisarmed();

    [LoggerMessage(EventId = 1503, Level = LogLevel.Error, Message = "No fence: {Problem}. Leases shorter than 20 s are not used")]
    private partial void LogNoFence(string problem);

    [LoggerMessage(EventId = 1504, Level = LogLevel.Critical,
        Message = "The fence stopped the primary with process id {Pid} at {At}: {Reason}; it took {Milliseconds} ms")]
    private partial void LogFenced(int pid, DateTimeOffset at, FencingReason reason, double milliseconds);
}
