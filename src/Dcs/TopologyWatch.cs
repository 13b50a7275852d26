using Microsoft.Extensions.Logging;

namespace Routing.Dcs;

/// <summary>Follows one cluster and holds the newest view of it for its process: agent, proxy or driver.</summary>
/// <remarks>
/// Readers look at <see cref="Current"/> or wait for the next view; none of them is called from the watch except
/// <see cref="Changed"/>. A reader that is slow skips views. Before the first answer of the store the view is empty, at
/// revision 0 and not live.
/// </remarks>
public sealed partial class TopologyWatch : IAsyncDisposable
{
    private readonly IClusterViews _views;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private volatile State _state = new(ClusterView.Unknown, Task.CompletedTask);
    private readonly TaskCompletionSource _broken = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _running = Task.CompletedTask;

    /// <summary>Creates it; <see cref="Start"/> makes it run.</summary>
    /// <param name="views">The store, or another source; it stays the caller's to dispose of.</param>
    /// <param name="logger">For handlers that fail.</param>
    public TopologyWatch(IClusterViews views, ILogger<TopologyWatch> logger)
    {
        _views = views;
        _logger = logger;
    }

    /// <summary>
    /// Called with each new view, from the watch itself and before <see cref="WaitForNewerAsync"/> returns it: the
    /// handler must be quick, and wait for nothing. A handler that throws is logged and called again with the next
    /// view.
    /// </summary>
    public event Action<ClusterView>? Changed;

    /// <summary>The newest view, with the highest term that was ever seen here.</summary>
    public ClusterView Current => _state.View;

    /// <summary>
    /// Fails when the watch broke by a mistake of its own: nothing is followed any more, and its owner should end.
    /// Never completes else.
    /// </summary>
    public Task Broken => _broken.Task;

    /// <summary>Begins to follow. On a thread with a synchronization context it stays there.</summary>
    public void Start()
    {
        lock (_gate)
        {
            if (!ReferenceEquals(_running, Task.CompletedTask))
            {
                throw new InvalidOperationException("The topology watch was started already.");
            }
            _running = FollowAsync();
        }
    }

    /// <summary>Waits for a view other than one already seen; returns at once when there is one.</summary>
    /// <param name="seen">What the caller has got from here before.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="ObjectDisposedException">The watch was stopped.</exception>
    /// <exception cref="Exception">The watch broke by a mistake of its own; the last view is not live then.</exception>
    public async ValueTask<ClusterView> WaitForNewerAsync(ClusterView seen, CancellationToken cancellationToken)
    {
        while (true)
        {
            var state = _state;
            if (!ReferenceEquals(state.View, seen))
            {
                await EitherAsync(state.Told, cancellationToken);
                return state.View;
            }
            await EitherAsync(state.Superseded.Task, cancellationToken);
        }
    }

    /// <summary>Stops following. Waits for a newer view end with an <see cref="ObjectDisposedException"/>.</summary>
    public async ValueTask DisposeAsync()
    {
        Cancel(_stop);
        await _running;
        End(new ObjectDisposedException(nameof(TopologyWatch)));
        _stop.Dispose();
    }

    /// <summary>
    /// Waits for the task or the token. Like Task.WaitAsync, but it never leaves the caller's context.
    /// </summary>
    private static async Task EitherAsync(Task task, CancellationToken cancellationToken)
    {
        if (task.IsCompletedSuccessfully)
        {
            return;
        }
        var either = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var given = cancellationToken.UnsafeRegister(
            static (state, token) => ((TaskCompletionSource)state!).TrySetCanceled(token), either);
        task.GetAwaiter().UnsafeOnCompleted(() => either.TrySetResult());
        await either.Task;
        await task;
    }

    private async Task FollowAsync()
    {
        try
        {
            await foreach (var view in _views.WatchAsync(_stop.Token))
            {
                Publish(view);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // stopped
        }
        catch (Exception ownMistake)
        {
            // A watch promises not to end. No reader may go on as if the last view were the newest.
            LogBroken(ownMistake);
            Publish(Current with { IsLive = false });
            End(ownMistake);
            _broken.TrySetException(ownMistake);
            _ = _broken.Task.Exception;   // marks the exception as observed: an owner need not read it
        }
    }

    private static void Cancel(CancellationTokenSource source) => source.Cancel();

    private void Publish(ClusterView next)
    {
        var before = _state;
        var view = next.After(before.View);
        _state = new State(view, before.Superseded.Task);
        foreach (var handler in Changed?.GetInvocationList() ?? [])
        {
            try
            {
                ((Action<ClusterView>)handler)(view);
            }
            catch (Exception problem)
            {
                LogHandlerFailed(problem);
            }
        }
        before.Superseded.TrySetResult();
    }

    private void End(Exception reason)
    {
        var superseded = _state.Superseded;
        superseded.TrySetException(reason);
        _ = superseded.Task.Exception;   // marks the exception as observed where no reader waits
    }

    [LoggerMessage(EventId = 3030, Level = LogLevel.Error,
        Message = "A handler of changes in the cluster failed: a fault of this program")]
    private partial void LogHandlerFailed(Exception problem);

    [LoggerMessage(EventId = 3031, Level = LogLevel.Critical,
        Message = "The watch on the cluster ended with an error: changes are not seen until this program is started "
            + "again")]
    private partial void LogBroken(Exception problem);

    private sealed class State(ClusterView view, Task told)
    {
        public ClusterView View { get; } = view;

        /// <summary>Completes when all handlers of <see cref="Changed"/> have been called with it.</summary>
        public Task Told { get; } = told;

        /// <summary>Completes when a newer view is there.</summary>
        public TaskCompletionSource Superseded { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
