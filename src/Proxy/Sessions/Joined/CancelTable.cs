using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>Finds the session that a cancel request means, by pid and secret. Any thread.</summary>
/// <remarks>Sessions are chained through a field of their own, so that an entry costs one array slot.</remarks>
internal sealed class CancelTable
{
    private const int FirstSize = 256;

    private readonly Lock _lock = new();
    private Session?[] _chains = new Session?[FirstSize];
    private int _count;

    /// <summary>Makes a session known.</summary>
    public void Add(Session session)
    {
        lock (_lock)
        {
            if (_count >= _chains.Length)
            {
                Grow();
            }
            Insert(_chains, session);
            _count++;
        }
    }

    /// <summary>Forgets it; one that is not known changes nothing.</summary>
    public void Remove(Session session)
    {
        lock (_lock)
        {
            ref var link = ref _chains[ChainOf(session.Key.Pid, _chains.Length)];
            while (link is not null)
            {
                if (ReferenceEquals(link, session))
                {
                    link = session.NextInChain;
                    session.NextInChain = null;
                    _count--;
                    return;
                }
                link = ref link.NextInChain;
            }
        }
    }

    /// <summary>Where the session with this key runs; null when there is none.</summary>
    public Session? Find(in BackendKey key)
    {
        lock (_lock)
        {
            for (var session = _chains[ChainOf(key.Pid, _chains.Length)]; session is not null; session =
                session.NextInChain)
            {
                if (session.Key.Matches(key))
                {
                    return session;
                }
            }
            return null;
        }
    }

    private static int ChainOf(int pid, int size) => (int)((uint)pid * 2_654_435_769u >> 8) & (size - 1);

    private static void Insert(Session?[] chains, Session session)
    {
        ref var first = ref chains[ChainOf(session.Key.Pid, chains.Length)];
        session.NextInChain = first;
        first = session;
    }

    private void Grow()
    {
        var grown = new Session?[_chains.Length * 2];
        foreach (var chain in _chains)
        {
            for (var session = chain; session is not null;)
            {
                var next = session.NextInChain;
                Insert(grown, session);
                session = next;
            }
        }
        _chains = grown;
    }
}
