using System.Text;
using Routing.Agent.Native;

namespace Routing.Agent.Fence;

/// <summary>Which program is the fence, and where it keeps its state.</summary>
/// <param name="StateFile">The shared page; see <see cref="FenceDirectory"/>.</param>
/// <param name="Program">The program to start.</param>
/// <param name="LeadingArguments">Arguments before <c>--fence</c>.</param>
internal sealed record FenceSettings(string StateFile, string Program, IReadOnlyList<string> LeadingArguments)
{
    /// <summary>The name of the state file in its directory.</summary>
    public const string StateFileName = "fence";

    /// <summary>Appended to the state file's path: what the fence says.</summary>
    public const string LogSuffix = ".log";

    /// <summary>This very program, whether it runs natively or through the dotnet host.</summary>
    public static FenceSettings ForThisProgram(string directory)
    {
        var program = Environment.ProcessPath ?? throw new IOException("The path of the running program is unknown.");
        var isHost = Path.GetFileNameWithoutExtension(program) == "dotnet";
        return new FenceSettings(
            Path.Combine(directory, StateFileName), program, isHost ? [Environment.GetCommandLineArgs()[0]] : []);
    }
}

/// <summary>
/// The agent's side of the fence: starts or adopts it, and gives it its orders through the shared page.
/// </summary>
/// <param name="settings">Where and what.</param>
/// <param name="time">The clock whose timestamps the deadlines are.</param>
/// <param name="onEnded">
/// Called when the fence has ended, on some thread: the loop should run and start it again.
/// </param>
internal sealed class FenceClient(FenceSettings settings, TimeProvider time, Action onEnded) : IFence, IDisposable
{
    /// <summary>How old a sign of life may be: three beats.</summary>
    public static readonly TimeSpan HeartbeatBound = 3 * FenceLoop.Beat;

    /// <summary>Blocked in the fence from its first instruction and read by its loop.</summary>
    internal static readonly int[] SignalsOfFence = [Signals.User1, Signals.Terminate, Signals.Interrupt,
        Signals.Hangup];

    private static readonly TimeSpan s_startBound = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_answerBound = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_pollInterval = TimeSpan.FromMilliseconds(2);

    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _ensuring = new(1, 1);
    private readonly BootClock _clock = new(time);
    private readonly byte[] _path = Encoding.UTF8.GetBytes(settings.StateFile + '\0');
    private FencePage? _page;
    private PidFd? _fence;

    public bool IsGuarding
    {
        get
        {
            lock (_lock)
            {
                return _page is { } page
                    && IsAlive(page)
                    && (page.Word is not { IsArmed: true } word || page.GuardedPid == word.PostmasterPid
                        || !Runs(word, page));
            }
        }
    }

    public bool IsArmed
    {
        get
        {
            lock (_lock)
            {
                return _page?.Word is { IsArmed: true };
            }
        }
    }

    public int ArmedPid
    {
        get
        {
            lock (_lock)
            {
                return _page is { Word: { IsArmed: true } word } page && Runs(word, page) ? word.PostmasterPid : 0;
            }
        }
    }

    public FencingReport? LastFencing
    {
        get
        {
            lock (_lock)
            {
                return _page?.LastFencing;
            }
        }
    }

    /// <summary>The fence's process number; null while none is known.</summary>
    public int? FencePid => _fence?.Pid;

    public async ValueTask EnsureRunningAsync(CancellationToken cancellationToken)
    {
        await _ensuring.WaitAsync(cancellationToken);
        try
        {
            var page = OpenPage();
            if (IsAlive(page))
            {
                return;
            }

            page.SetAgent(ProcessStat.Self);
            if (_fence is { } known && await ShowsLifeAsync(page, known, cancellationToken))
            {
                return;
            }

            await GetRidOfAsync(cancellationToken);
            if (!await TryAdoptAsync(page, cancellationToken))
            {
                await StartAsync(page, cancellationToken);
            }
        }
        finally
        {
            _ensuring.Release();
        }
    }

    public void Arm(int postmasterPid, ulong postmasterStart, long deadline)
    {
        lock (_lock)
        {
            if (_page is not { } page)
            {
                return;   // no place for its state yet: it is not armed, and the agent tells that it has no fence
            }

            var word = FenceWord.Armed(postmasterPid, _clock.At(deadline));
            var isSame = page.Word is { IsArmed: true, IsFiring: false } old
                && old.PostmasterPid == postmasterPid && page.PostmasterStart == postmasterStart;
            if (!isSame)
            {
                // Never a mixture of the old and the new postmaster.
                page.SetWord(FenceWord.Disarmed);
                page.PostmasterStart = postmasterStart;
            }

            page.SetWord(word);
            Wake();
        }
    }

    public bool ExtendUntil(long deadline) => Move(deadline, onlyForward: false);

    public void BringForward(long deadline) => Move(deadline, onlyForward: true);

    public void Disarm()
    {
        lock (_lock)
        {
            _page?.SetWord(FenceWord.Disarmed);
            Wake();
        }
    }

    public async ValueTask<bool> WaitUntilGuardingAsync(TimeSpan bound, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        while (!IsGuarding)
        {
            if (time.GetElapsedTime(start) >= bound)
            {
                return false;
            }

            await Task.Delay(s_pollInterval, time, cancellationToken);
        }

        return true;
    }

    public void Dismiss()
    {
        lock (_lock)
        {
            if (_page is { } page)
            {
                page.SetWord(FenceWord.Disarmed);
                page.ExitWanted = true;
                Wake();
            }
        }
    }

    /// <summary>Lets go of the fence; it goes on guarding, for the next agent.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _fence?.Dispose();
            _fence = null;
            _page?.Dispose();
            _page = null;
            _ensuring.Dispose();
        }
    }

    private bool Move(long deadline, bool onlyForward)
    {
        lock (_lock)
        {
            var instant = _clock.At(deadline);
            while (_page?.Word is { IsArmed: true, IsFiring: false } word && (!onlyForward || instant < word.Deadline))
            {
                if (_page.TryReplaceWord(word, FenceWord.Armed(word.PostmasterPid, instant)))
                {
                    if (instant < word.Deadline)
                    {
                        Wake();   // the fence sleeps until the old deadline; a shorter lease counts at once
                    }

                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>An order may outlive its postmaster: then there is nothing to hold.</summary>
    private static bool Runs(FenceWord word, FencePage page) =>
        ProcessStat.Read(word.PostmasterPid) is { IsAlive: true } stat && stat.StartTicks == page.PostmasterStart;

    private void Wake() => _fence?.TrySignal(Signals.User1);

    private bool IsAlive(FencePage page) =>
        _fence is { HasExited: false } fence
        && page.FencePid == fence.Pid
        && BootInstant.Now - page.Heartbeat < HeartbeatBound;

    /// <summary>
    /// Opens the page; and opens it anew, with the order that stands, when the file was deleted.
    /// </summary>
    private unsafe FencePage OpenPage()
    {
        lock (_lock)
        {
            fixed (byte* path = _path)
            {
                if (_page is { } page && page.IsStillAt(path))
                {
                    return page;
                }
            }

            Directory.CreateDirectory(
                Path.GetDirectoryName(settings.StateFile)!,
                UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            var fresh = FencePage.OpenForAgent(settings.StateFile);
            if (_page is { } deleted)
            {
                // Its fence still holds the old page; it ends when it sees that its successor guards.
                fresh.PostmasterStart = deleted.PostmasterStart;
                fresh.SetWord(deleted.Word);
                deleted.Dispose();
                _fence?.Dispose();
                _fence = null;
            }

            _page = fresh;
            return fresh;
        }
    }

    /// <summary>
    /// Ends a fence that runs but shows no sign of life: frozen or hung, it guards nothing and holds the lock.
    /// </summary>
    private async ValueTask GetRidOfAsync(CancellationToken cancellationToken)
    {
        if (_fence is not { } fence)
        {
            return;
        }

        fence.TrySignal(Signals.Kill);
        await fence.WaitForExitAsync(cancellationToken);
        lock (_lock)
        {
            _fence = null;
        }

        fence.Dispose();
    }

    private async ValueTask<bool> TryAdoptAsync(FencePage page, CancellationToken cancellationToken)
    {
        if (page.FencePid <= 0 || PidFd.TryOpen(page.FencePid, page.FenceStart) is not { } fence)
        {
            return false;
        }

        // Without the lock, the page speaks of a process that is no fence of this page.
        var isFence = page.IsLockedByAnother();
        if (isFence && await ShowsLifeAsync(page, fence, cancellationToken))
        {
            Keep(fence);
            return true;
        }

        if (isFence)
        {
            fence.TrySignal(Signals.Kill);
        }

        fence.Dispose();
        return false;
    }

    /// <summary>
    /// Wakes the fence and waits for its heartbeat: after the machine was suspended, an old one is no sign of trouble.
    /// </summary>
    private async ValueTask<bool> ShowsLifeAsync(FencePage page, PidFd fence, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        fence.TrySignal(Signals.User1);
        while (page.FencePid == fence.Pid && !fence.HasExited && time.GetElapsedTime(start) < s_answerBound)
        {
            if (BootInstant.Now - page.Heartbeat < HeartbeatBound)
            {
                return true;
            }

            await Task.Delay(s_pollInterval, time, cancellationToken);
        }

        return false;
    }

    private async ValueTask StartAsync(FencePage page, CancellationToken cancellationToken)
    {
        var log = settings.StateFile + FenceSettings.LogSuffix;
        var fence = Spawner.Start(
            new SpawnRequest(settings.Program, [.. settings.LeadingArguments, FenceProgram.Option, settings.StateFile])
            {
                LogFile = log,
                BlockedSignals = SignalsOfFence,
                // A process that allocates nothing needs no heap to speak of, nor a thread to collect it.
                Environment = new Dictionary<string, string?>
                {
                    ["DOTNET_gcServer"] = "0",
                    ["DOTNET_gcConcurrent"] = "0",
                    ["DOTNET_GCHeapHardLimit"] = "0x2000000",
                    ["DOTNET_TieredPGO"] = "0",
                },
            });
        Keep(fence);
        var start = time.GetTimestamp();
        while (page.FencePid != fence.Pid)
        {
            if (fence.HasExited)
            {
                var exit = await fence.WaitForExitAsync(cancellationToken);
                throw new IOException($"The fence ended right after its start ({exit}); see {log}.");
            }

            if (time.GetElapsedTime(start) > s_startBound)
            {
                throw new IOException($"The fence, process {fence.Pid}, shows no sign of life; see {log}.");
            }

            await Task.Delay(s_pollInterval, time, cancellationToken);
        }
    }

    private void Keep(PidFd fence)
    {
        lock (_lock)
        {
            _fence = fence;
        }

        // Cancelled when we let go of it; only an end that we saw calls for a new one.
        _ = fence.Exited.ContinueWith(
            _ => onEnded(),
            CancellationToken.None,
            TaskContinuationOptions.OnlyOnRanToCompletion,
            TaskScheduler.Default);
    }
}
