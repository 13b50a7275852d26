using Routing.Agent.Config;

namespace Routing.Agent.Watchdog;

/// <summary>The rules for the watchdog, above whatever device there is.</summary>
/// <param name="settings">What the operator chose.</param>
/// <param name="open">Opens the device and thereby starts it; throws <see cref="IOException"/> when it can't.</param>
/// <param name="report">Takes each new sentence for the log.</param>
internal sealed class DeviceWatchdog(WatchdogSettings settings, Func<string, IWatchdogDevice> open, Action<string> report)
    : IWatchdog, IDisposable
{
    private IWatchdogDevice? _device;
    private int _activeTimeout;
    private bool _failed;

    public bool IsUsable => settings.Mode != WatchdogMode.Required || !_failed;

    public bool IsActive => _device is not null;

    public string? Problem { get; private set; }

    public bool Check(TimeSpan ttl, TimeSpan loopWait)
    {
        if (settings.Mode == WatchdogMode.Off || IsActive)
        {
            return IsUsable;
        }

        if (Arithmetic(ttl, loopWait) is { } problem)
        {
            Fail(problem);
        }
        else if (!File.Exists(settings.Device))
        {
            Fail($"{settings.Device} does not exist");
        }
        else
        {
            Succeed();
        }

        return IsUsable;
    }

    public bool TryActivate(TimeSpan ttl, TimeSpan loopWait)
    {
        var wanted = WantedSeconds(ttl);
        if (settings.Mode == WatchdogMode.Off || (IsActive && _activeTimeout == wanted))
        {
            return IsUsable;
        }

        if (Arithmetic(ttl, loopWait) is { } problem)
        {
            Close();
            Fail(problem);
            return IsUsable;
        }

        try
        {
            Activate(wanted, loopWait);
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
        try
        {
            _device?.Write((byte)'1');
        }
        catch (IOException exception)
        {
            // Left open: it runs, and closing would not stop it for certain.
            Fail(exception.Message);
        }
    }

    public void Disable() => Close();

    public void Dispose() => Close();

    private void Activate(int wanted, TimeSpan loopWait)
    {
        _device ??= open(settings.Device);
        var support = _device.Support;
        if (support.CanSetTimeout)
        {
            _device.TimeoutSeconds = wanted;
        }

        var actual = _device.TimeoutSeconds;
        if (actual < loopWait.TotalSeconds)
        {
            Close();
            Fail($"{settings.Device} ({support.Identity}) fires after {actual} s, before one loop_wait is over");
            return;
        }

        if (actual > wanted && settings.Mode == WatchdogMode.Required)
        {
            Close();
            Fail($"{settings.Device} ({support.Identity}) fires only after {actual} s, {wanted} s are needed");
            return;
        }

        _activeTimeout = wanted;
        _device.Write((byte)'1');
        Succeed();
        if (actual > wanted)
        {
            Problem = $"{settings.Device} ({support.Identity}) fires only after {actual} s, when another node may lead already";
            report(Problem);
        }

        if (!support.CanClose)
        {
            report($"{settings.Device} ({support.Identity}) can't be stopped again: the machine restarts when this agent ends");
        }
    }

    private int WantedSeconds(TimeSpan ttl) => (int)settings.TimeoutFor(ttl).TotalSeconds;

    private string? Arithmetic(TimeSpan ttl, TimeSpan loopWait)
    {
        var wanted = WantedSeconds(ttl);
        return wanted < 1 || wanted < loopWait.TotalSeconds
            ? $"a ttl of {ttl.TotalSeconds:0} s less the watchdog's safety margin leaves {wanted} s, "
                + $"less than loop_wait ({loopWait.TotalSeconds:0} s)"
            : null;
    }

    private void Close()
    {
        if (_device is not { } device)
        {
            return;
        }

        _device = null;
        _activeTimeout = 0;
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
        _failed = true;
        if (Problem != problem)
        {
            Problem = problem;
            report(settings.Mode == WatchdogMode.Required
                ? $"The watchdog is required and can't be used: {problem}"
                : $"Going on without the watchdog: {problem}");
        }
    }

    private void Succeed()
    {
        _failed = false;
        Problem = null;
    }
}
