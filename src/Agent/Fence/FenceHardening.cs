using Routing.Agent.Native;

namespace Routing.Agent.Fence;

/// <summary>
/// Makes the fence run when the machine is short of memory or time. Each step may be refused; the fence works without.
/// </summary>
internal static unsafe class FenceHardening
{
    private const int LowestRealtimePriority = 1, HighPriority = -15;

    /// <summary>True when the process is locked into memory.</summary>
    public static bool Apply()
    {
        var priority = LowestRealtimePriority;
        if (Libc.sched_setscheduler(0, Libc.SCHED_RR | Libc.SCHED_RESET_ON_FORK, &priority) != 0)
        {
            _ = Libc.setpriority(0, 0, HighPriority);
        }

        NeverChosenByOutOfMemoryKiller();
        // On fault: lock what is touched, not the address space that the runtime reserves.
        return Libc.mlockall(Libc.MCL_CURRENT | Libc.MCL_ONFAULT) == 0;
    }

    private static void NeverChosenByOutOfMemoryKiller()
    {
        fixed (byte* path = "/proc/self/oom_score_adj\0"u8, value = "-1000"u8)
        {
            var file = Libc.open(path, Libc.O_WRONLY | Libc.O_CLOEXEC, 0);
            if (file >= 0)
            {
                _ = Libc.write(file, value, 5);
                _ = Libc.close(file);
            }
        }
    }
}
