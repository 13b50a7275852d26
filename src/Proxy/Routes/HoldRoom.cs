using Routing.Dcs;
using Routing.Proxy.Configuration;

namespace Routing.Proxy.Routes;

/// <summary>
/// Where sessions wait for a target, by listener and in the order of their arrival; lets them through at their pace.
/// </summary>
/// <remarks>Thread-safe. While clients wait, it looks every 20 ms which of them may go on.</remarks>
internal sealed class HoldRoom : IDisposable
{
    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(20);
    private static readonly RouteChoice s_draining =
        RouteChoice.None(RouteReason.Draining, "the proxy is shutting down");

    private readonly Func<string, IReadOnlyCollection<string>, RouteChoice?> _pick;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private readonly Dictionary<(string Listener, bool IsMove), HoldQueue> _queues = [];
    private readonly ITimer _timer;
    private int _waiting;
    private bool _isTicking;
    private bool _isDraining;

    /// <summary>An empty one.</summary>
    /// <param name="pick">
    /// Chooses for a listener, given the members that were tried; null: the cluster is not known yet.
    /// </param>
    /// <param name="time">The clock.</param>
    public HoldRoom(Func<string, IReadOnlyCollection<string>, RouteChoice?> pick, TimeProvider time)
    {
        (_pick, _time) = (pick, time);
        _timer = time.CreateTimer(static self => ((HoldRoom)self!).OnTick(), this, Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
    }

    /// <summary>How many clients wait, at all listeners.</summary>
    public int Count => Volatile.Read(ref _waiting);

    /// <summary>Whether new clients of this listener wait.</summary>
    public bool IsWaitedFor(string listener)
    {
        if (Count == 0)
        {
            return false;
        }
        lock (_lock)
        {
            return _queues.TryGetValue((listener, false), out var queue) && queue.Count > 0;
        }
    }

    /// <summary>Waits for a target.</summary>
    /// <param name="listener">The listener.</param>
    /// <param name="tried">Members that were tried already.</param>
    /// <param name="isMove">A session that moves: it has a pace of its own, and no limit to their number.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="OperationCanceledException">It gave up.</exception>
    public async ValueTask<RouteChoice> WaitAsync(
        ListenerConfig listener, IReadOnlyCollection<string> tried, bool isMove, CancellationToken cancellationToken)
    {
        HoldQueue queue;
        HoldQueue.Waiter waiter;
        lock (_lock)
        {
            if (_isDraining)
            {
                return s_draining;
            }
            if (!_queues.TryGetValue((listener.Name, isMove), out queue!))
            {
                _queues.Add((listener.Name, isMove), queue = new HoldQueue());
            }
            queue.PerSecond = isMove ? listener.MovesPerSecond : listener.LoginsPerSecond;
            if (!isMove && queue.Count >= listener.HoldQueue)
            {
                return RouteChoice.None(
                    RouteReason.QueueFull,
                    $"{queue.Count} sessions wait for a server already, and no more may (hold_queue)");
            }
            waiter = queue.Add(_time.TimestampAfter(listener.HoldTime), tried);
            Interlocked.Increment(ref _waiting);
            if (!_isTicking)
            {
                _isTicking = true;
                _timer.Change(s_tick, s_tick);
            }
        }
        await using var given = cancellationToken.UnsafeRegister(
            static (state, token) =>
            {
                var (room, list, one) = ((HoldRoom, HoldQueue, HoldQueue.Waiter))state!;
                room.GiveUp(list, one, token);
            },
            (this, queue, waiter));
        return await waiter.Result.Task;
    }

    /// <summary>
    /// Lets the waiting clients through whose turn it is, oldest first; refuses those whose time is over.
    /// </summary>
    public void Release()
    {
        if (Count == 0)
        {
            return;
        }
        lock (_lock)
        {
            var now = _time.GetTimestamp();
            foreach (var ((listener, _), queue) in _queues)
            {
                ReleaseFrom(queue, listener, now);
            }
        }
    }

    /// <summary>Refuses the clients that wait, and from now on all that would wait.</summary>
    public void Drain()
    {
        lock (_lock)
        {
            _isDraining = true;
            foreach (var queue in _queues.Values)
            {
                while (queue.First is { } waiter)
                {
                    End(queue, waiter, s_draining);
                }
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private void ReleaseFrom(HoldQueue queue, string listener, long now)
    {
        while (queue.First is { } waiter)
        {
            var picked = _pick(listener, waiter.Tried);
            var choice =
                picked ?? RouteChoice.None(RouteReason.TopologyUnknown, "the proxy does not know the cluster yet");
            if (choice.Target is not null && !queue.TryTakeTurn(now, _time.TimestampFrequency))
            {
                choice.Ticket?.Dispose();
                choice = choice with { Target = null, Ticket = null };
            }
            if (choice.Target is null && waiter.Deadline > now)
            {
                return;   // those behind it came later
            }
            End(queue, waiter, choice.Target is null && picked is not null
                ? choice with { Reason = RouteReason.HoldTimeout }
                : choice);
        }
    }

    private void End(HoldQueue queue, HoldQueue.Waiter waiter, in RouteChoice choice)
    {
        queue.Remove(waiter);
        Interlocked.Decrement(ref _waiting);
        waiter.Result.TrySetResult(choice);
    }

    private void GiveUp(HoldQueue queue, HoldQueue.Waiter waiter, CancellationToken token)
    {
        lock (_lock)
        {
            if (!queue.Remove(waiter))
            {
                return;
            }
        }
        Interlocked.Decrement(ref _waiting);
        waiter.Result.TrySetCanceled(token);
    }

    private void OnTick()
    {
        Release();
        lock (_lock)
        {
            if (Count == 0)
            {
                _isTicking = false;
                _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }
        }
    }
}
