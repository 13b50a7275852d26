namespace Routing.Proxy.Sessions.Joined;

/// <summary>
/// All open sessions, chained through fields of their own, in one list for each loop so that loops don't get in each
/// other's way.
/// </summary>
internal sealed class SessionTable
{
    private readonly Shard[] _shards;
    private int _count;

    /// <summary>One list for each loop.</summary>
    public SessionTable(int loops)
    {
        _shards = [.. Enumerable.Range(0, Math.Max(1, loops)).Select(_ => new Shard())];
    }

    /// <summary>How many sessions are open.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Puts one in.</summary>
    public void Add(Session session)
    {
        Interlocked.Increment(ref _count);
        var shard = Of(session);
        lock (shard.Lock)
        {
            session.Next = shard.First;
            if (shard.First is not null)
            {
                shard.First.Previous = session;
            }
            shard.First = session;
        }
    }

    /// <summary>Takes one out that is in.</summary>
    public void Remove(Session session)
    {
        var shard = Of(session);
        lock (shard.Lock)
        {
            if (session.Previous is not null)
            {
                session.Previous.Next = session.Next;
            }
            else
            {
                shard.First = session.Next;
            }
            if (session.Next is not null)
            {
                session.Next.Previous = session.Previous;
            }
            session.Next = session.Previous = null;
        }
        Interlocked.Decrement(ref _count);
    }

    /// <summary>Changes one that is in while no other thread is shown it.</summary>
    public void Change<T>(Session session, T state, Action<Session, T> change)
    {
        lock (Of(session).Lock)
        {
            change(session, state);
        }
    }

    /// <summary>Shows each one to a function, which must be quick: the loop of the list waits.</summary>
    public void ForEach<T>(T state, Action<T, Session> visit)
    {
        foreach (var shard in _shards)
        {
            lock (shard.Lock)
            {
                for (var session = shard.First; session is not null;)
                {
                    var next = session.Next;
                    visit(state, session);   // may end it at once, which takes it out of the list
                    session = next;
                }
            }
        }
    }

    private Shard Of(Session session) => _shards[session.Loop % _shards.Length];

    private sealed class Shard
    {
        public readonly Lock Lock = new();
        public Session? First;
    }
}
