using System.Runtime.InteropServices;

namespace Routing.TestKit;

/// <summary>The processor clock of another process.</summary>
public static class ProcessorClock
{
    /// <summary>
    /// Processor time that a process has used so far, ended threads included, to the nanosecond and not in ticks.
    /// </summary>
    /// <exception cref="InvalidOperationException">The process is gone.</exception>
    public static TimeSpan Of(int pid)
    {
        const int Scheduled = 2;   // CPUCLOCK_SCHED of linux/posix-timers.h
        return GetTime((~pid << 3) | Scheduled, out var time) == 0
            ? TimeSpan.FromSeconds(time.Seconds) + TimeSpan.FromMicroseconds(time.Nanoseconds / 1000.0)
            : throw new InvalidOperationException($"Process {pid} is gone.");
    }

    [DllImport("libc", EntryPoint = "clock_gettime")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int GetTime(int clock, out Time time);

    [StructLayout(LayoutKind.Sequential)]
    private struct Time
    {
        public long Seconds, Nanoseconds;
    }
}
