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
    IFence fence, IWatchdog watchdog, Func<Timing> timing, TimeProvider time, ILogger<PrimaryGuard> logger)
        : IPrimaryGuard
{
    private static readonly TimeSpan s_takesHold = TimeSpan.FromMilliseconds(500);

    private readonly Lock _lock = new();
    private readonly Lock _watching = new();
    private int _pid;
    private Conviction _conviction;
    private long _lastFencing = -1;
    private (TimeSpan Ttl, TimeSpan LoopWait) _watchdogTimes;
    private bool _isWatching;
    private bool _isFenced;

    /// <summary>
    /// When a process was started, in the unit of <see cref="ProcessStat.StartTicks"/>; null: there is none of this
    /// number.
    /// </summary>
    public Func<int, ulong?> StartOf { get; init; } = static pid => ProcessStat.Read(pid)?.StartTicks;

    /// <inheritdoc/>
    public string? WatchdogProblem =>
        watchdog.IsUsable ? null : watchdog.Problem ?? "the watchdog is required and was not opened yet";

    /// <inheritdoc/>
    public bool IsFenced => Volatile.Read(ref _isFenced);

    /// <inheritdoc/>
    public int ArmedPid => fence.ArmedPid;

    /// <inheritdoc/>
    public TimeSpan ReserveOf(TimeSpan ttl)
    {
        var timeout = watchdog.Timeout;   // the keeper asks while it holds its lock: nothing here may wait
        return timeout > TimeSpan.Zero && timeout < ttl ? ttl - timeout : TimeSpan.Zero;
    }

    /// <inheritdoc/>
    public bool Prepare(Timing timing)
    {
        lock (_watching)
        {
            Watch((timing.Ttl, timing.LoopWait));
            return watchdog.IsUsable;
        }
    }

    /// <inheritdoc/>
    public void Arm(int postmasterPid)
    {
        var conviction = ArmFence(postmasterPid, out var isAnother);
        if (conviction.Ttl > TimeSpan.Zero)
        {
            // After the fence: the device may hang.
            lock (_watching)
            {
                lock (_lock)
                {
                    conviction = _conviction;   // the keeper may have reported a newer one meanwhile
                }
                if (isAnother || !_isWatching || _watchdogTimes != (conviction.Ttl, conviction.LoopWait))
                {
                    Watch((conviction.Ttl, conviction.LoopWait));
                }
            }
        }
    }

    /// <inheritdoc/>
    public void Adopt(Conviction conviction)
    {
        bool isLonger;
        lock (_lock)
        {
            var isMoved = conviction.Deadline != _conviction.Deadline;
            isLonger = conviction.Until > _conviction.Until;
            _conviction = conviction;
            if (_pid == 0)
            {
                // The order of an earlier agent: were we to end before our next run, it would be carried out although
                // the key is ours.
                _pid = fence.ArmedPid;
            }
            if (isMoved && _pid != 0)
            {
                // Never the same one twice: after the machine was suspended it would be a later moment of the fence's
                // clock.
                fence.ExtendUntil(conviction.Deadline);
            }
        }
        lock (_watching)
        {
            if (!_isWatching)
            {
                return;
            }
            if (_watchdogTimes != (conviction.Ttl, conviction.LoopWait))
            {
                Watch((conviction.Ttl, conviction.LoopWait));
            }
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
            if (_pid != 0 || fence.IsArmed)
            {
                _pid = 0;
                fence.Disarm();
                LogDisarmed();
            }
        }
        lock (_watching)
        {
            if (_isWatching)
            {
                _isWatching = false;
                watchdog.Disable();
            }
        }
    }

    /// <summary>Keeps a fence running, and reports what it did, until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            await TendAsync(cancellationToken);
            await Task.Delay(WatchPace.UntilNext(WatchPace.For(ShortestTtl()), time), time, cancellationToken)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>One look after the fence and the watchdog.</summary>
    public async Task TendAsync(CancellationToken cancellationToken)
    {
        try
        {
            await fence.EnsureRunningAsync(cancellationToken);
            // A fence that was started or ordered a moment ago does not guard yet: "no fence" would lengthen the leases
            // of all members.
            Volatile.Write(ref _isFenced, await fence.WaitUntilGuardingAsync(s_takesHold, cancellationToken));
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            Volatile.Write(ref _isFenced, false);
            LogNoFence(problem.Message);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return;
        }
        lock (_watching)
        {
            if (!_isWatching)
            {
                var now = timing();
                watchdog.Rest(now.Ttl, now.LoopWait);
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

    /// <summary>
    /// The status lags behind the loop. What the fence's order follows is the lease, which may be the shorter one.
    /// </summary>
    private TimeSpan ShortestTtl()
    {
        var published = timing().Ttl;
        lock (_lock)
        {
            return _conviction.Ttl > TimeSpan.Zero && _conviction.Ttl < published ? _conviction.Ttl : published;
        }
    }

    private Conviction ArmFence(int postmasterPid, out bool isAnother)
    {
        lock (_lock)
        {
            isAnother = false;
            if (_conviction.Ttl == TimeSpan.Zero)
            {
                return default;   // the fence has no order yet: the next run comes at once
            }
            if (_pid == postmasterPid && fence.IsArmed)
            {
                return _conviction;
            }
            if (StartOf(postmasterPid) is not { } start)
            {
                return default;   // PostgreSQL has ended already
            }
            isAnother = _pid != postmasterPid;
            _pid = postmasterPid;
            fence.Arm(postmasterPid, start, _conviction.Deadline);
            LogArmed(postmasterPid);
            return _conviction;
        }
    }

    /// <summary>The watchdog's time is that of the lease which the key hangs on, or will hang on.</summary>
    private void Watch((TimeSpan Ttl, TimeSpan LoopWait) times)
    {
        (_watchdogTimes, _isWatching) = (times, true);
        watchdog.TryActivate(times.Ttl, times.LoopWait);
    }

    [LoggerMessage(
        EventId = 1501, Level = LogLevel.Information, Message = "The fence guards the primary with process id {Pid}")]
    private partial void LogArmed(int pid);

    [LoggerMessage(
        EventId = 1502, Level = LogLevel.Information, Message = "The fence is off: no primary runs here")]
    private partial void LogDisarmed();

    [LoggerMessage(EventId = 1503, Level = LogLevel.Error,
        Message = "No fence runs: {Problem}. Until one does, the ttl is 20 s at least")]
    private partial void LogNoFence(string problem);

    [LoggerMessage(EventId = 1504, Level = LogLevel.Critical,
        Message = "The fence stopped the primary with process id {Pid} at {At}: {Reason}; it took {Milliseconds} ms")]
    private partial void LogFenced(int pid, DateTimeOffset at, FencingReason reason, double milliseconds);
}
