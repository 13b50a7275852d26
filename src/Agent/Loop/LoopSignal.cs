using Routing.Agent.Native;

namespace Routing.Agent.Loop;

/// <summary>Wakes the loop: many callers, one sleeper; a wake-up while it is awake is not lost.</summary>
internal sealed class LoopSignal : IDisposable
{
    private readonly Lock _lock = new();
    private readonly ITimer _timer;
    private TaskCompletionSource? _sleeper;
    private bool _pending;

    public LoopSignal(TimeProvider time)
    {
        _timer = time.CreateTimer(_ => Wake(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Ends the present sleep, or the next one at once.</summary>
    public void Wake()
    {
        TaskCompletionSource? sleeper;
        lock (_lock)
        {
            sleeper = _sleeper;
            _sleeper = null;
            _pending = sleeper is null;
        }
        sleeper?.TrySetResult();
    }

    /// <summary>
    /// Sleeps until woken, or for <paramref name="atMost"/>, which may be any time: no timer lasts longer than 49 days.
    /// </summary>
    public async Task SleepAsync(TimeSpan atMost, CancellationToken cancellationToken)
    {
        var sleeper = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            if (_pending || atMost <= TimeSpan.Zero)
            {
                _pending = false;
                return;
            }
            _sleeper = sleeper;
            _timer.Change(atMost < TimedToken.Longest ? atMost : TimedToken.Longest, Timeout.InfiniteTimeSpan);
        }
        // Not Task.WaitAsync: it completes on the thread pool, and the simulation replays schedules on one thread.
        using var given =
            cancellationToken.UnsafeRegister(static state => ((TaskCompletionSource)state!).TrySetCanceled(), sleeper);
        await sleeper.Task;
    }

    public void Dispose() => _timer.Dispose();
}
