namespace Routing.Agent.Watchdog;

/// <summary>
/// Calls of the system that may hang, each on a thread that its caller does not depend on. One at a time.
/// </summary>
/// <param name="bound">How long a caller waits.</param>
internal sealed class BoundedCalls(TimeSpan bound)
{
    private readonly Lock _lock = new();
    private Task _running = Task.CompletedTask;
    private string _what = "";

    /// <summary>Runs a call and waits for its end.</summary>
    /// <param name="what">What is done, for people: <c>opening /dev/watchdog</c>.</param>
    /// <param name="call">The call.</param>
    /// <param name="late">Takes the result of a call that came back when nobody waited any more.</param>
    /// <exception cref="IOException">
    /// It failed, or it did not come back in time; or an earlier one still has not come back.
    /// </exception>
    public T Do<T>(string what, Func<T> call, Action<T>? late = null)
    {
        var work = new Work<T>(call, late);
        lock (_lock)
        {
            if (!_running.IsCompleted)
            {
                throw new IOException($"{_what} has not come back");
            }

            _what = what;
            _running = Begin(work.Run);
        }

        return work.WaitFor(bound, what);
    }

    /// <summary>Runs a call after the one that runs, and does not wait for it.</summary>
    public void Leave(Action call)
    {
        lock (_lock)
        {
            _running = _running.ContinueWith(
                _ => Quietly(call), CancellationToken.None, TaskContinuationOptions.LongRunning, TaskScheduler.Default);
        }
    }

    private static Task Begin(Action run) =>
        Task.Factory.StartNew(run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static void Quietly(Action call)
    {
        try
        {
            call();
        }
        catch (IOException)
        {
            // The call was given up before.
        }
    }

    private sealed class Work<T>(Func<T> call, Action<T>? late)
    {
        private readonly Lock _lock = new();
        private readonly TaskCompletionSource<T> _end = new();
        private bool _isGivenUp;

        public void Run()
        {
            T result;
            try
            {
                result = call();
            }
            catch (Exception problem)
            {
                _end.SetException(problem);
                return;
            }

            lock (_lock)
            {
                if (!_isGivenUp)
                {
                    _end.SetResult(result);
                    return;
                }
            }

            if (late is not null)
            {
                Quietly(() => late(result));
            }
        }

        public T WaitFor(TimeSpan bound, string what)
        {
            if (!((IAsyncResult)_end.Task).AsyncWaitHandle.WaitOne(bound))
            {
                lock (_lock)
                {
                    if (!_end.Task.IsCompleted)
                    {
                        _isGivenUp = true;
                        throw new IOException($"{what} takes longer than {bound.TotalMilliseconds:0} ms");
                    }
                }
            }

            return _end.Task.GetAwaiter().GetResult();
        }
    }
}
