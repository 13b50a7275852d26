namespace Routing.Dcs.Etcd;

/// <summary>The endpoints, which of them is used, and which are avoided for a while.</summary>
/// <remarks>
/// One endpoint is used for everything until it fails; then the next one that is not avoided. There is no way back
/// while the new one works: endpoints are equal.
/// </remarks>
internal sealed class EtcdEndpoints(IEnumerable<EtcdEndpoint> configured, TimeProvider time) : IDisposable
{
    // A silent endpoint costs a whole attempt, so it is avoided longest; one that answers may soon work again.
    private static readonly TimeSpan s_avoidSilent = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_avoidUnreachable = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_avoidBusy = TimeSpan.FromMilliseconds(100);

    private readonly Lock _gate = new();
    private readonly List<EtcdEndpoint> _all = [.. configured];
    private int _current;

    /// <summary>How often the endpoint in use changed.</summary>
    public long Changes { get; private set; }

    /// <summary>The endpoint in use; there is one once an answer has come.</summary>
    public EtcdEndpoint Current =>
        CurrentIfAny ?? throw new InvalidOperationException("No etcd endpoint is known yet.");

    /// <summary>The endpoint in use; null while SRV records have not brought any.</summary>
    public EtcdEndpoint? CurrentIfAny
    {
        get
        {
            lock (_gate)
            {
                return _all.Count > 0 ? _all[_current] : null;
            }
        }
    }

    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _all.Count;
            }
        }
    }

    public EtcdEndpoint[] All
    {
        get
        {
            lock (_gate)
            {
                return [.. _all];
            }
        }
    }

    public bool Knows(Uri address)
    {
        lock (_gate)
        {
            return _all.Exists(endpoint => endpoint.Address == address);
        }
    }

    public void Add(EtcdEndpoint endpoint)
    {
        lock (_gate)
        {
            _all.Add(endpoint);
        }
    }

    /// <summary>Adds the endpoints that were found while there was none; two callers may have looked at once.</summary>
    public void AddFirst(IEnumerable<EtcdEndpoint> endpoints)
    {
        lock (_gate)
        {
            var isFirst = _all.Count == 0;
            foreach (var endpoint in endpoints)
            {
                if (isFirst)
                {
                    _all.Add(endpoint);
                }
                else
                {
                    endpoint.Dispose();
                }
            }
        }
    }

    /// <summary>The endpoint to use, and how long to wait before, when all are avoided.</summary>
    public (EtcdEndpoint Endpoint, TimeSpan Wait) Choose()
    {
        lock (_gate)
        {
            var now = time.GetTimestamp();
            var best = _current;
            for (var step = 0; step < _all.Count; step++)
            {
                var candidate = (_current + step) % _all.Count;
                if (_all[candidate].AvoidUntil <= now)
                {
                    best = candidate;
                    break;
                }
                if (_all[candidate].AvoidUntil < _all[best].AvoidUntil)
                {
                    best = candidate;
                }
            }
            if (best != _current)
            {
                _current = best;
                Changes++;
            }
            var wait = _all[best].AvoidUntil > now ? time.GetElapsedTime(now, _all[best].AvoidUntil) : TimeSpan.Zero;
            return (_all[best], wait < s_avoidUnreachable ? wait : s_avoidUnreachable);
        }
    }

    /// <summary>Avoids an endpoint for a while after a failure.</summary>
    /// <returns>Whether this is news: its last attempt did not fail in the same way.</returns>
    public bool Failed(EtcdEndpoint endpoint, EtcdFailureKind kind)
    {
        var pause = kind switch
        {
            EtcdFailureKind.Silent => s_avoidSilent,
            EtcdFailureKind.Unreachable => s_avoidUnreachable,
            EtcdFailureKind.NotNow or EtcdFailureKind.Ambiguous => s_avoidBusy,
            _ => TimeSpan.Zero,   // the endpoint answered: the refusal is no fault of it
        };
        lock (_gate)
        {
            endpoint.AvoidUntil = time.TimestampAfter(pause);
            var isNews = endpoint.Failing != kind;
            endpoint.Failing = kind;
            return isNews;
        }
    }

    /// <summary>Nothing is wrong with an endpoint.</summary>
    /// <returns>Whether this is news: its last attempt failed.</returns>
    public bool Answered(EtcdEndpoint endpoint)
    {
        lock (_gate)
        {
            var isNews = endpoint.Failing is not null;
            endpoint.AvoidUntil = 0;
            endpoint.Failing = null;
            return isNews;
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _all.ForEach(endpoint => endpoint.Dispose());
        }
    }
}
