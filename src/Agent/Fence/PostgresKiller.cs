using Routing.Agent.Native;

namespace Routing.Agent.Fence;

/// <summary>How an end by force went.</summary>
/// <param name="Killed">Processes that SIGKILL ended; 0 when SIGQUIT was enough.</param>
/// <param name="LeftOver">Processes still there when the time was up.</param>
internal readonly record struct KillOutcome(int Killed, int LeftOver);

/// <summary>
/// Ends one PostgreSQL with everything that belongs to it, by force and in little time. Blocks; allocates nothing.
/// </summary>
internal static unsafe class PostgresKiller
{
    /// <summary>How long an immediate shutdown may take before SIGKILL: an idle server needs 10 to 30 ms.</summary>
    public const int QuitBoundMs = 150;

    private const int RoundMs = 3, KillBoundMs = 2000;

    /// <summary>SIGQUIT, a short wait, then SIGKILL for whatever is left.</summary>
    /// <param name="postmaster">A pidfd of the postmaster; negative when it has ended already.</param>
    /// <param name="postmasterPid">Its number.</param>
    /// <param name="family">To find the children of a postmaster that has ended; may be empty.</param>
    public static KillOutcome Kill(int postmaster, int postmasterPid, PostgresFamily family)
    {
        var isAlive = postmaster >= 0 && !Exits(postmaster, 0);
        if (isAlive && ProcessStat.Read(postmasterPid) is { IsFrozen: false })
        {
            _ = Libc.pidfd_send_signal(postmaster, Signals.Quit);
            isAlive = !Exits(postmaster, QuitBoundMs);
        }

        return isAlive
            ? KillWithPostmaster(postmaster, postmasterPid, family)
            : KillRounds(-1, 0, family);
    }

    private static KillOutcome KillWithPostmaster(int postmaster, int postmasterPid, PostgresFamily family)
    {
        // Stopped first, so that it starts no more children; and killed last, so that its children are known by their
        // parent.
        _ = Libc.pidfd_send_signal(postmaster, Signals.Stop);
        var children = KillRounds(postmaster, postmasterPid, family);
        _ = Libc.pidfd_send_signal(postmaster, Signals.Kill);
        var ended = Exits(postmaster, KillBoundMs);
        // One that was born while the signal to stop was on its way.
        var late = KillRounds(-1, 0, family);
        return new KillOutcome(children.Killed + late.Killed + 1, late.LeftOver + (ended ? 0 : 1));
    }

    /// <summary>Kills and looks again, until nobody is left or the time is up.</summary>
    private static KillOutcome KillRounds(int postmaster, int postmasterPid, PostgresFamily family)
    {
        var end = BootInstant.Now.Nanoseconds + (KillBoundMs * 1_000_000L);
        var most = 0;
        while (true)
        {
            var found = family.KillOnce(postmasterPid);
            most = Math.Max(most, found);
            if (found == 0 || BootInstant.Now.Nanoseconds > end)
            {
                return new KillOutcome(most, found);
            }

            // A stopped postmaster does not end by itself; this is only a short sleep.
            _ = Exits(postmaster, RoundMs);
        }
    }

    private static bool Exits(int pidFd, int withinMs)
    {
        var end = Libc.Nanoseconds(Libc.CLOCK_MONOTONIC) + (withinMs * 1_000_000L);
        while (true)
        {
            var poll = new Libc.PollFd { Fd = pidFd, Events = Libc.POLLIN };
            var left = Math.Max(end - Libc.Nanoseconds(Libc.CLOCK_MONOTONIC), 0);
            var ready = Libc.poll(&poll, 1, (int)((left + 999_999) / 1_000_000));
            if (ready > 0)
            {
                return true;
            }

            if (ready == 0)
            {
                return false;   // a negative answer is an interruption: go on waiting
            }
        }
    }
}
