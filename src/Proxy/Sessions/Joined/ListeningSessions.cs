namespace Routing.Proxy.Sessions.Joined;

/// <summary>
/// Sessions that listened to notifications and do not yet listen again at their new server: until they do, no other
/// session is let go on there, so that nobody's notification is missed. Any thread.
/// </summary>
internal sealed class ListeningSessions
{
    private readonly Lock _lock = new();
    private int _count;
    private TaskCompletionSource? _empty;

    /// <summary>Whether there are any.</summary>
    public bool AreAny => Volatile.Read(ref _empty) is not null;

    /// <summary>A session was asked for its state, and listens.</summary>
    /// <returns>To be disposed of when it listens again, or has ended.</returns>
    public IDisposable Enter()
    {
        lock (_lock)
        {
            if (_count++ == 0)
            {
                _empty = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }
        return new Place(this);
    }

    /// <summary>Waits until all of them listen again.</summary>
    /// <param name="longest">For so long at most.</param>
    /// <param name="time">The clock.</param>
    public async ValueTask PassAsync(TimeSpan longest, TimeProvider time)
    {
        if (Volatile.Read(ref _empty) is { } empty)
        {
            await empty.Task.WaitAsync(longest, time, CancellationToken.None)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void Leave()
    {
        lock (_lock)
        {
            if (--_count == 0)
            {
                _empty!.SetResult();
                _empty = null;
            }
        }
    }

    private sealed class Place(ListeningSessions all) : IDisposable
    {
        private int _isOver;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isOver, 1) == 0)
            {
                all.Leave();
            }
        }
    }
}
