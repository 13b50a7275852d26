using System.Runtime.InteropServices;
using Routing.Agent.Native;

namespace Routing.Agent.Fence;

/// <summary>The fence's one loop: look at the order, look at the clock, act or sleep.</summary>
internal sealed unsafe class FenceLoop(FencePage page, byte[] path)
{
    /// <summary>The longest sleep: how often the fence shows that it lives.</summary>
    public static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);

    /// <summary>How long a fence stays without an agent and without an order.</summary>
    public static readonly TimeSpan LonelyBound = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How often it looks at the processes and files around it, which costs more than a beat; a signal makes it look at
    /// once.
    /// </summary>
    private static readonly TimeSpan s_lookInterval = TimeSpan.FromSeconds(5);

    private int _postmaster = -1;
    private int _postmasterPid;
    private ulong _postmasterStart;
    private PostgresFamily _family;
    private long _agentLastSeen;
    private long _lookedAt;
    private bool _isSignalled = true;
    private bool _toldToEnd;
    private bool _reported;
    private long _actedAt;

    /// <summary>Once it has ended: nothing that an agent should still read stands in the state file.</summary>
    public bool LeavesNothing { get; private set; }

    public int Run()
    {
        var signals = stackalloc byte[Libc.SignalSetBytes];
        BlockSignals(signals);
        var signalFd = Libc.signalfd(-1, signals, Libc.SFD_CLOEXEC | Libc.SFD_NONBLOCK);
        // The boot clock's timer also fires right after a suspension during which its time came.
        var timer = Libc.timerfd_create(Libc.CLOCK_BOOTTIME, Libc.TFD_CLOEXEC | Libc.TFD_NONBLOCK);
        if (signalFd < 0 || timer < 0)
        {
            Console.Error.WriteLine($"fence: no signalfd or timerfd (errno {Marshal.GetLastPInvokeError()})");
            return 4;
        }

        page.Heartbeat = BootInstant.Now;
        page.SetFence(ProcessStat.Self);
        _agentLastSeen = BootInstant.Now.Nanoseconds;
        while (true)
        {
            var word = page.Word;
            HoldPostmaster(word);
            // The order before the clock: should we be frozen between the two, the order is old and the clock is right.
            // That errs towards acting, and the compare-and-set in Act finds an order that was given meanwhile.
            var now = BootInstant.Now;
            if (word.IsArmed && now >= word.Deadline)
            {
                Act(word, now);
                continue;
            }

            page.Heartbeat = now;
            if (_isSignalled || now.Nanoseconds - _lookedAt >= s_lookInterval.Ticks * 100
                || (_postmaster >= 0 && !_family.IsKnown))
            {
                _lookedAt = now.Nanoseconds;
                _isSignalled = false;
                RememberFamily();
                if (MayEnd(word, now))
                {
                    return 0;
                }
            }

            var next = now.Nanoseconds + (Beat.Ticks * 100);
            Sleep(timer, signalFd, word.IsArmed ? Math.Min(next, word.Deadline.Nanoseconds) : next);
        }
    }

    /// <summary>SIGUSR1 means "look now"; SIGTERM and its like end only a fence that guards nothing.</summary>
    private static void BlockSignals(byte* signals)
    {
        _ = Libc.sigemptyset(signals);
        foreach (var signal in FenceClient.SignalsOfFence)
        {
            _ = Libc.sigaddset(signals, signal);
        }

        _ = Libc.sigprocmask(0, signals, null);
    }

    /// <summary>Takes hold of the postmaster of the order, once, and remembers how to find its children.</summary>
    private void HoldPostmaster(FenceWord word)
    {
        if (!word.IsArmed)
        {
            if (_postmasterPid != 0)
            {
                LetGo();
            }

            return;
        }

        var start = page.PostmasterStart;
        if (word.PostmasterPid == _postmasterPid && start == _postmasterStart)
        {
            return;
        }

        LetGo();
        var pidFd = Libc.pidfd_open(word.PostmasterPid);
        if (pidFd >= 0 && ProcessStat.Read(word.PostmasterPid) is { } stat && stat.StartTicks == start)
        {
            _postmaster = pidFd;
            page.GuardedPid = word.PostmasterPid;
        }
        else if (pidFd >= 0)
        {
            _ = Libc.close(pidFd);   // another process has the number by now
        }

        _postmasterPid = word.PostmasterPid;
        _postmasterStart = start;
    }

    /// <summary>
    /// Looked at again and again while the postmaster lives: one that has just been started has not gone to its data
    /// directory yet, and one that has ended shows nothing any more while its children may live on.
    /// </summary>
    private void RememberFamily()
    {
        if (_postmaster >= 0
            && PostgresFamily.Of(_postmasterPid) is { IsKnown: true } family
            && ProcessStat.Read(_postmasterPid) is { IsAlive: true } stat && stat.StartTicks == _postmasterStart)
        {
            _family = family;
        }
    }

    private void LetGo()
    {
        if (_postmaster >= 0)
        {
            _ = Libc.close(_postmaster);
        }

        _postmaster = -1;
        _postmasterPid = 0;
        _postmasterStart = 0;
        _family = default;
        page.GuardedPid = 0;
    }

    private void Act(FenceWord word, BootInstant now)
    {
        var firing = FenceWord.Firing(word.PostmasterPid);
        if (!page.TryReplaceWord(word, firing))
        {
            return;   // extended or disarmed in this very moment
        }

        page.Heartbeat = now;
        RememberFamily();
        var reason = ReasonNow();
        var wasRunning = _postmaster >= 0 && ProcessStat.Read(word.PostmasterPid) is { IsAlive: true };
        var outcome = PostgresKiller.Kill(_postmaster, word.PostmasterPid, _family);
        if ((wasRunning || outcome.Killed > 0) && !_reported)
        {
            // A fence that took over from one that died while firing does not know the deadline any more.
            var lateBy = word.IsFiring ? 0 : now.Nanoseconds - word.Deadline.Nanoseconds;
            page.Report(
                reason, word.PostmasterPid, lateBy, BootInstant.Now.Nanoseconds - now.Nanoseconds, outcome.Killed,
                outcome.LeftOver);
            _reported = outcome.LeftOver > 0;
            _actedAt = now.Nanoseconds;
        }

        // Processes that wait for a dead disk don't end: the order stands, and is tried again at once, until they do.
        if (outcome.LeftOver == 0)
        {
            _reported = false;
            _ = page.TryReplaceWord(firing, FenceWord.Disarmed);
        }
    }

    private FencingReason ReasonNow() => Agent() switch
    {
        null => FencingReason.AgentGone,
        { IsFrozen: true } => FencingReason.AgentFrozen,
        _ => FencingReason.AgentSilent,
    };

    private ProcessStat? Agent() =>
        page.AgentPid is > 0 and var pid && ProcessStat.Read(pid) is { IsAlive: true } agent
            && agent.StartTicks == page.AgentStart
            ? agent
            : null;

    private bool MayEnd(FenceWord word, BootInstant now)
    {
        if (Agent() is not null)
        {
            _agentLastSeen = now.Nanoseconds;
        }

        var isLonely = now.Nanoseconds - _agentLastSeen > LonelyBound.Ticks * 100;
        fixed (byte* name = path)
        {
            if (!word.IsArmed && (page.ExitWanted || _toldToEnd || isLonely))
            {
                // The next agent reports what this fence did last; the file may belong to another fence by now.
                LeavesNothing = !_toldToEnd && (_actedAt == 0 || _actedAt < _agentLastSeen) && page.IsStillAt(name);
                return true;
            }

            return !page.IsStillAt(name) && IsReplaced(now, name);
        }
    }

    /// <summary>
    /// The state file was deleted, and a new agent made a new one with a new fence: that one guards now.
    /// </summary>
    private bool IsReplaced(BootInstant now, byte* name)
    {
        using var successor = FencePage.OpenForFence(Marshal.PtrToStringUTF8((nint)name)!);
        return successor is not null
            && now - successor.Heartbeat < FenceClient.HeartbeatBound
            && (_postmasterPid == 0 || successor.GuardedPid == _postmasterPid);
    }

    private void Sleep(int timer, int signalFd, long until)
    {
        var at = new Libc.TimerSpec
        {
            Value = new Libc.Timespec { Seconds = until / 1_000_000_000, Nanoseconds = until % 1_000_000_000 },
        };
        _ = Libc.timerfd_settime(timer, Libc.TFD_TIMER_ABSTIME, &at, null);
        var polls = stackalloc Libc.PollFd[2];
        polls[0] = new Libc.PollFd { Fd = timer, Events = Libc.POLLIN };
        polls[1] = new Libc.PollFd { Fd = signalFd, Events = Libc.POLLIN };
        _ = Libc.poll(polls, 2, -1);
        // the size of one signalfd_siginfo, whose first word is the signal's number
        var buffer = stackalloc byte[128];
        _ = Libc.read(timer, buffer, 8);
        while (Libc.read(signalFd, buffer, 128) == 128)
        {
            _isSignalled = true;
            _toldToEnd |= *(uint*)buffer != Signals.User1;
        }
    }
}
