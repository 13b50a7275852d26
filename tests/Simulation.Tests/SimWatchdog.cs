using Routing.Agent.Watchdog;

namespace Routing.Simulation.Tests;

internal enum WatchdogDeviceState
{
    Works,
    Missing,

    /// <summary>It is there and cannot be opened.</summary>
    Refuses,

    /// <summary>Opening it never returns.</summary>
    Blocks,
}

/// <summary>The agent's process waits in the kernel for ever.</summary>
internal sealed class SimHangException() : Exception("The process hangs in a system call.");

/// <summary>
/// The watchdog of a machine: once started it turns the machine off unless somebody writes to it in time.
/// </summary>
internal sealed class SimWatchdog(SimNode node, SimWorld world)
{
    private int _timeoutSeconds = 60;
    private int _winding;

    public WatchdogDeviceState State { get; set; }

    /// <summary>It would reset the machine.</summary>
    public bool IsRunning { get; private set; }

    /// <exception cref="IOException">It cannot be opened.</exception>
    public IWatchdogDevice Open(SimProcess process)
    {
        switch (State)
        {
            case WatchdogDeviceState.Missing or WatchdogDeviceState.Refuses:
                throw new IOException("opening the watchdog: permission denied");
            case WatchdogDeviceState.Blocks:
                process.Freeze();
                node.IsHung = true;
                throw new SimHangException();
            default:
                IsRunning = true;
                Wind();
                return new Handle(this);
        }
    }

    /// <summary>The machine was turned off.</summary>
    public void Stop()
    {
        _winding++;
        IsRunning = false;
    }

    private void Wind()
    {
        var winding = ++_winding;
        world.At(TimeSpan.FromSeconds(_timeoutSeconds), () =>
        {
            if (winding == _winding && IsRunning)
            {
                world.Note(node.Name, "the watchdog resets the machine");
                node.Kill();
                world.At(world.Between(2000, 10000), node.PowerOn);
            }
        });
    }

    private sealed class Handle(SimWatchdog watchdog) : IWatchdogDevice
    {
        public WatchdogSupport Support => new("simulated", CanSetTimeout: true, CanClose: true);

        public int TimeoutSeconds
        {
            get => watchdog._timeoutSeconds;
            set
            {
                watchdog._timeoutSeconds = value;
                watchdog.Wind();
            }
        }

        public void Write(byte value)
        {
            if (value == (byte)'V')
            {
                watchdog.Stop();
            }
            else
            {
                watchdog.Wind();
            }
        }

        public void Dispose()
        {
            // Without the magic byte it goes on counting.
        }
    }
}
