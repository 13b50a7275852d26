using Routing.Agent.Config;
using Routing.Cluster;

namespace Routing.Agent.Watchdog;

/// <summary>The rules for the watchdog, above whatever device there is.</summary>
/// <param name="settings">What the operator chose.</param>
/// <param name="open">Opens the device and thereby starts it; throws <see cref="IOException"/> when it can't.</param>
/// <param name="time">For the pauses after failures.</param>
/// <param name="report">Takes each new sentence for the log.</param>
internal sealed class DeviceWatchdog(
    WatchdogSettings settings, Func<string, IWatchdogDevice> open, TimeProvider time, Action<string> report)
    : IWatchdog, IDisposable
{
    /// <summary>A shorter timeout leaves no time for a renewal that is late once.</summary>
    private static readonly TimeSpan s_leastTimeout = TimeSpan.FromSeconds(3);

    private static readonly Backoff s_pauses = new(TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(30));

    private IWatchdogDevice? _device;
    private bool _canClose;
    private bool _rests;
    private int _wantedSeconds;
    private long _timeoutTicks;
    private bool _isProven;
    private (TimeSpan Ttl, TimeSpan LoopWait) _provenWith;
    private int _losses;
    private long _lostAt;
    private TimeSpan _pause;

    public bool IsUsable => settings.Mode != WatchdogMode.Required || Volatile.Read(ref _isProven);

    /// <inheritdoc/>
    /// <remarks>May be read from any thread.</remarks>
    public TimeSpan Timeout => new(Interlocked.Read(ref _timeoutTicks));

    public string? Problem { get; private set; }

    private bool IsActive => _device is not null && !_rests;

    public void Rest(TimeSpan ttl, TimeSpan loopWait)
    {
        if (_rests)
        {
            Feed();
        }

        if (settings.Mode != WatchdogMode.Required || IsActive || (IsUsable && _provenWith == (ttl, loopWait)))
        {
            return;
        }

        TryActivate(ttl, loopWait);
        Disable();
    }

    public bool TryActivate(TimeSpan ttl, TimeSpan loopWait)
    {
        var wanted = WantedSeconds(ttl);
        if (settings.Mode == WatchdogMode.Off || (IsActive && _wantedSeconds == wanted) || IsPausing)
        {
            return IsUsable;
        }

        if (Arithmetic(ttl, loopWait) is { } problem)
        {
            Disable();
            Fail(problem);
            return IsUsable;
        }

        try
        {
            Activate(wanted, loopWait);
            _provenWith = (ttl, loopWait);
        }
        catch (IOException exception)
        {
            Close();
            Fail(exception.Message);
        }

        return IsUsable;
    }

    public void KeepAlive()
    {
        if (IsActive)
        {
            Feed();
        }
    }

    public void Disable()
    {
        if (_device is null || _canClose)
        {
            Close();
            return;
        }

        // Closing would not stop it: it goes on being fed.
        _rests = true;
        Interlocked.Exchange(ref _timeoutTicks, 0);
    }

    public void Dispose() => Close();

    /// <summary>
    /// A device that failed while it was relied on may work for a moment again and again: each time it is left alone
    /// for longer.
    /// </summary>
    private bool IsPausing => !IsUsable && _losses > 0 && time.GetElapsedTime(_lostAt) < _pause;

    private void Feed()
    {
        try
        {
            _device?.Write((byte)'1');
        }
        catch (IOException exception)
        {
            // Left open: it runs, and closing would not stop it for certain.
            if (Volatile.Read(ref _isProven))
            {
                _losses = time.GetElapsedTime(_lostAt) > 2 * s_pauses.Longest ? 1 : _losses + 1;
                _lostAt = time.GetTimestamp();
                _pause = s_pauses.After(_losses);
            }

            Fail(exception.Message);
        }
    }

    private void Activate(int wanted, TimeSpan loopWait)
    {
        _device ??= open(settings.Device);
        _canClose = false;
        var support = SupportOf(_device);
        _canClose = support.CanClose;
        if (support.CanSetTimeout)
        {
            _device.TimeoutSeconds = wanted;
        }

        var actual = _device.TimeoutSeconds;
        if (actual < loopWait.TotalSeconds || actual < s_leastTimeout.TotalSeconds)
        {
            throw new IOException(
                $"{settings.Device} ({support.Identity}) fires after {actual} s, before one loop_wait is over");
        }

        if (actual > wanted && settings.Mode == WatchdogMode.Required)
        {
            throw new IOException(
                $"{settings.Device} ({support.Identity}) fires only after {actual} s, {wanted} s are needed");
        }

        _device.Write((byte)'1');
        (_wantedSeconds, _rests) = (wanted, false);
        Interlocked.Exchange(ref _timeoutTicks, TimeSpan.FromSeconds(actual).Ticks);
        Succeed(actual <= wanted
            ? null
            : $"{settings.Device} ({support.Identity}) fires only after {actual} s, when another node may lead "
                + "already");
        if (!support.CanClose)
        {
            Say(ref _saidOfClosing,
                $"{settings.Device} ({support.Identity}) can't be stopped again: the machine restarts when this agent "
                    + "ends");
        }
    }

    private string? _saidOfClosing;

    /// <summary>What does not say what it can do is no watchdog, and nothing is written to it.</summary>
    private WatchdogSupport SupportOf(IWatchdogDevice device)
    {
        try
        {
            return device.Support;
        }
        catch (IOException)
        {
            _device = null;
            device.Dispose();
            throw;
        }
    }

    private int WantedSeconds(TimeSpan ttl) => (int)Math.Min(int.MaxValue, settings.TimeoutFor(ttl).TotalSeconds);

    private string? Arithmetic(TimeSpan ttl, TimeSpan loopWait)
    {
        var wanted = WantedSeconds(ttl);
        var least = loopWait > s_leastTimeout ? loopWait : s_leastTimeout;
        var reason = loopWait > s_leastTimeout ? "loop_wait" : "the least that leaves time for a late renewal";
        return wanted < least.TotalSeconds
            ? $"a ttl of {ttl.TotalSeconds:0} s less the watchdog's safety margin leaves {wanted} s, less than "
                + $"{least.TotalSeconds:0} s ({reason})"
            : null;
    }

    private void Close()
    {
        _rests = false;
        Interlocked.Exchange(ref _timeoutTicks, 0);
        if (_device is not { } device)
        {
            return;
        }

        _device = null;
        try
        {
            device.Write((byte)'V');
        }
        catch (IOException exception)
        {
            report($"{settings.Device} could not be stopped, the machine may restart: {exception.Message}");
        }
        finally
        {
            device.Dispose();
        }
    }

    private void Fail(string problem)
    {
        Volatile.Write(ref _isProven, false);
        if (Problem != problem)
        {
            Problem = problem;
            report(settings.Mode == WatchdogMode.Required
                ? $"The watchdog is required and can't be used: {problem}"
                : $"Going on without the watchdog: {problem}");
        }
    }

    /// <summary>The device was opened and fed: only that ends a failure.</summary>
    private void Succeed(string? reservation)
    {
        var failed = !Volatile.Read(ref _isProven) && Problem is not null;
        Volatile.Write(ref _isProven, true);
        if (reservation is not null && Problem != reservation)
        {
            report(reservation);
        }
        else if (failed && reservation is null)
        {
            report($"{settings.Device} can be used again");
        }

        Problem = reservation;
    }

    private void Say(ref string? said, string sentence)
    {
        if (said != sentence)
        {
            report(said = sentence);
        }
    }
}
