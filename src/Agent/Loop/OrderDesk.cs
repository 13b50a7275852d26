using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>How an order ended.</summary>
/// <param name="Result">Of its job; null: there was none, because it was refused.</param>
/// <param name="Refusal">Why it was refused; null: it was not.</param>
/// <param name="Detail">One sentence, or for <see cref="OrderRefusal.Busy"/> the name of the job that runs.</param>
internal readonly record struct OrderEnd(JobResult? Result, OrderRefusal? Refusal, string Detail);

/// <summary>
/// What operators ask of this member through REST, on its way to the loop and back. One order is open at a time.
/// </summary>
/// <param name="wake">Lets the loop run.</param>
internal sealed class OrderDesk(Action wake)
{
    private readonly Lock _lock = new();
    private Entry? _open;
    private Entry? _begun;
    private ScheduledRestart? _scheduled;
    private long _lastId;
    private bool _hasRecalled;

    /// <summary>The order that waits for the loop; null: none, or its job has begun.</summary>
    public Order? Open
    {
        get
        {
            lock (_lock)
            {
                return _open?.Order;
            }
        }
    }

    /// <summary>The restart that waits for its time.</summary>
    public ScheduledRestart? Scheduled
    {
        get
        {
            lock (_lock)
            {
                return _scheduled;
            }
        }
    }

    /// <summary>Hands a restart to the loop, and waits until it has ended or was refused.</summary>
    /// <param name="filter">Only if this holds.</param>
    /// <param name="timeout">How long the start may take; null: as long as the configuration says.</param>
    /// <param name="cancellationToken">Nobody waits any more: an order that has not begun is taken back.</param>
    public Task<OrderEnd> RestartAsync(RestartFilter filter, TimeSpan? timeout, CancellationToken cancellationToken) =>
        SubmitAsync(id => new RestartOrder(id, filter, timeout), cancellationToken);

    /// <summary>Hands a reinitialization to the loop, and waits until it has begun or was refused.</summary>
    /// <param name="force">End the job that runs.</param>
    /// <param name="fromLeader">Copy the leader, by pg_basebackup.</param>
    /// <param name="cancellationToken">Nobody waits any more: an order that has not begun is taken back.</param>
    public Task<OrderEnd> ReinitializeAsync(bool force, bool fromLeader, CancellationToken cancellationToken) =>
        SubmitAsync(id => new ReinitializeOrder(id, force, fromLeader), cancellationToken);

    /// <summary>Plans a restart; false: another one is planned.</summary>
    public bool TrySchedule(ScheduledRestart restart)
    {
        lock (_lock)
        {
            if (_scheduled is not null)
            {
                return false;
            }
            _scheduled = restart;
        }
        wake();
        return true;
    }

    /// <summary>Forgets the planned restart; false: none is planned.</summary>
    public bool TryUnschedule()
    {
        lock (_lock)
        {
            if (_scheduled is null)
            {
                return false;
            }
            _scheduled = null;
        }
        wake();
        return true;
    }

    /// <summary>
    /// What an earlier life of the agent had planned, by its member key: counts once, at the first look.
    /// </summary>
    public void Recall(ScheduledRestart? restart)
    {
        lock (_lock)
        {
            if (!_hasRecalled)
            {
                _hasRecalled = true;
                _scheduled ??= restart;
            }
        }
    }

    /// <summary>The planned restart is due: it becomes an order without a waiting request.</summary>
    public void OrderScheduled()
    {
        lock (_lock)
        {
            if (_open is null && _scheduled is { } due)
            {
                _open = new Entry(new RestartOrder(++_lastId, due.Filter, due.Timeout));
                _scheduled = null;
            }
        }
    }

    /// <summary>The job of an order has begun.</summary>
    public void Begin(long id)
    {
        lock (_lock)
        {
            if (_open?.Order.Id == id)
            {
                (_begun, _open) = (_open, null);
            }
        }
    }

    /// <summary>An order has ended, or is refused.</summary>
    public void End(long id, OrderEnd end)
    {
        Entry? ended = null;
        lock (_lock)
        {
            if (_open?.Order.Id == id)
            {
                (ended, _open) = (_open, null);
            }
            else if (_begun?.Order.Id == id)
            {
                (ended, _begun) = (_begun, null);
            }
        }
        ended?.Ended.TrySetResult(end);
    }

    private async Task<OrderEnd> SubmitAsync(Func<long, Order> make, CancellationToken cancellationToken)
    {
        Entry entry;
        lock (_lock)
        {
            if (_open is { } before)
            {
                return new OrderEnd(null, OrderRefusal.Busy, NameOf(before.Order));
            }
            entry = _open = new Entry(make(++_lastId));
        }
        wake();
        try
        {
            return await entry.Ended.Task.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            lock (_lock)
            {
                if (ReferenceEquals(_open, entry))
                {
                    _open = null;
                }
            }
            throw;
        }
    }

    private static string NameOf(Order order) => order switch
    {
        RestartOrder => HaLoop.Name(JobKind.Restart),
        ReinitializeOrder => HaLoop.Name(JobKind.Reinitialize),
        _ => throw new InvalidOperationException($"The desk does not know the order {order}."),
    };

    private sealed class Entry(Order order)
    {
        public Order Order => order;

        public TaskCompletionSource<OrderEnd> Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
