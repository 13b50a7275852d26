using System.Threading.Tasks.Sources;

namespace Routing.Proxy.Transport.Loops;

/// <summary>
/// What a reader or a writer on a loop waits for, one wait after another: continued inline on the loop, given up when a
/// token says so.
/// </summary>
/// <remarks>Used on the loop; a token may be cancelled from any thread.</remarks>
internal sealed class LoopWait<T>(EventLoop loop) : IValueTaskSource<T>
{
    private ManualResetValueTaskSourceCore<T> _source;
    private CancellationTokenRegistration _registration;
    private CancellationToken _token;

    /// <summary>Whether there is a waiter.</summary>
    public bool IsWaiting { get; private set; }

    /// <summary>Begins a wait; the one before is over.</summary>
    public ValueTask<T> Begin(CancellationToken cancellationToken)
    {
        _source.Reset();
        IsWaiting = true;
        if (cancellationToken.CanBeCanceled)
        {
            _token = cancellationToken;
            _registration = cancellationToken.UnsafeRegister(static self => ((LoopWait<T>)self!).PostCancel(), this);
        }
        return new(this, _source.Version);
    }

    /// <summary>Ends the wait.</summary>
    public void SetResult(T result)
    {
        Stop();
        _source.SetResult(result);
    }

    /// <summary>Ends the wait with an error.</summary>
    public void SetException(Exception error)
    {
        Stop();
        _source.SetException(error);
    }

    T IValueTaskSource<T>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<T>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<T>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags & ~ValueTaskSourceOnCompletedFlags.UseSchedulingContext);

    private void PostCancel() => loop.Post(static self => ((LoopWait<T>)self!).Cancel(), this);

    private void Cancel()
    {
        // It may come for a wait that is over: then the present one's token is not cancelled.
        if (IsWaiting && _token.IsCancellationRequested)
        {
            SetException(new OperationCanceledException(_token));
        }
    }

    private void Stop()
    {
        IsWaiting = false;
        _registration.Unregister();
        _registration = default;
        _token = default;
    }
}
