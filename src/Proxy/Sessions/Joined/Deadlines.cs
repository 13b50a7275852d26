namespace Routing.Proxy.Sessions.Joined;

/// <summary>
/// Time limits of clients in their start-up and login: one coarse timer for all, which stands still while there are
/// none.
/// </summary>
internal sealed class Deadlines : IDisposable
{
    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(100);

    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly Lock _lock = new();
    private readonly List<Expiring> _all = [];
    private bool _isTicking;

    /// <summary>Makes it without limits: the timer stands still.</summary>
    public Deadlines(TimeProvider time)
    {
        _time = time;
        _timer = time.CreateTimer(_ => Check(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>How many limits are watched.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _all.Count;
            }
        }
    }

    /// <summary>Watches a limit from now on.</summary>
    public void Add(Expiring item)
    {
        lock (_lock)
        {
            item.Place = _all.Count;
            _all.Add(item);
            if (!_isTicking)
            {
                _isTicking = true;
                _timer.Change(s_tick, s_tick);
            }
        }
    }

    /// <summary>Watches a limit no more; it may still expire on another thread in this moment.</summary>
    public void Remove(Expiring item)
    {
        lock (_lock)
        {
            if (item.Place < 0)
            {
                return;
            }
            var last = _all[^1];
            _all[item.Place] = last;
            last.Place = item.Place;
            item.Place = -1;
            _all.RemoveAt(_all.Count - 1);
        }
    }

    /// <summary>Lets all limits expire now.</summary>
    public void ExpireAll()
    {
        lock (_lock)
        {
            foreach (var item in _all)
            {
                item.Deadline = 0;
            }
        }
        Check();
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private void Check()
    {
        List<Expiring>? due = null;
        var now = _time.GetTimestamp();
        lock (_lock)
        {
            if (_all.Count == 0)
            {
                _isTicking = false;
                _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }
            foreach (var item in _all)
            {
                if (item.Deadline <= now)
                {
                    (due ??= []).Add(item);
                }
            }
        }
        foreach (var item in due ?? [])
        {
            if (item.TryTake(now))   // it may have got more time meanwhile
            {
                item.Expire();
            }
        }
    }
}
