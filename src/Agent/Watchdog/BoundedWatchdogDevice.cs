namespace Routing.Agent.Watchdog;

/// <summary>
/// A device whose driver is called on a thread of its own, so that one that hangs holds nobody up for longer than a
/// bound. While a call has not come back every further one fails at once.
/// </summary>
internal sealed class BoundedWatchdogDevice : IWatchdogDevice
{
    private readonly string _path;
    private readonly BoundedCalls _calls;
    private readonly IWatchdogDevice _device;
    private bool _isClosed;

    private BoundedWatchdogDevice(string path, BoundedCalls calls, IWatchdogDevice device) =>
        (_path, _calls, _device) = (path, calls, device);

    public WatchdogSupport Support => _calls.Do($"{_path}: asking for its abilities", () => _device.Support);

    public int TimeoutSeconds
    {
        get => _calls.Do($"{_path}: asking for its timeout", () => _device.TimeoutSeconds);
        set => _calls.Do($"{_path}: setting its timeout to {value} s", () => _device.TimeoutSeconds = value);
    }

    public void Write(byte value) => _calls.Do($"writing to {_path}", () =>
    {
        _device.Write(value);
        return true;
    });

    public void Dispose()
    {
        if (!_isClosed)
        {
            _isClosed = true;
            // Closing may hang, too: the caller does not need to know how it ends.
            _calls.Leave(_device.Dispose);
        }
    }

    /// <summary>An <c>open</c> for <see cref="DeviceWatchdog"/>.</summary>
    /// <param name="open">Opens the device; may hang.</param>
    /// <param name="bound">How long to wait for each call.</param>
    public static Func<string, IWatchdogDevice> Opener(Func<string, IWatchdogDevice> open, TimeSpan bound)
    {
        var calls = new BoundedCalls(bound);
        return path => new BoundedWatchdogDevice(path, calls, calls.Do($"opening {path}", () => open(path), TooLate));
    }

    /// <summary>Closes a device that was opened too late: it runs, and would not be fed.</summary>
    private static void TooLate(IWatchdogDevice device)
    {
        using (device)
        {
            device.Write((byte)'V');
        }
    }
}
