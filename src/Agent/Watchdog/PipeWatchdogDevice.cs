using System.Globalization;
using System.Text;

namespace Routing.Agent.Watchdog;

/// <summary>
/// A named pipe in place of a device (<c>driver: testing</c>): a test reads there what a device would be told. It
/// resets nothing.
/// </summary>
/// <remarks>
/// A device has no bytes for its timeout; here it is the line <c>T</c> and the seconds. The rest is as with a device:
/// <c>1</c> feeds it, <c>V</c> announces the close. A pipe that nobody reads cannot be opened, and one that is full
/// cannot be written.
/// </remarks>
/// <param name="pipe">The pipe, opened.</param>
internal sealed class PipeWatchdogDevice(IWatchdogDevice pipe) : IWatchdogDevice
{
    private int _timeoutSeconds = 60;   // what many drivers begin with

    /// <exception cref="IOException">No such pipe, no permission, or nobody reads it.</exception>
    public PipeWatchdogDevice(string path)
        : this(new LinuxWatchdogDevice(path))
    {
    }

    public WatchdogSupport Support => new("a pipe of a test", CanSetTimeout: true, CanClose: true);

    public int TimeoutSeconds
    {
        get => _timeoutSeconds;
        set
        {
            foreach (var letter in Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"T{value}\n")))
            {
                pipe.Write(letter);
            }
            _timeoutSeconds = value;
        }
    }

    public void Write(byte value) => pipe.Write(value);

    public void Dispose() => pipe.Dispose();
}
