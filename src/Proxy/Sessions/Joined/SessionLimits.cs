using Routing.Proxy.Configuration;
using Routing.Proxy.Sessions.Refusals;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>Who has how many sessions: all together, by listener, by user. Any thread.</summary>
internal sealed class SessionLimits
{
    private readonly SessionCounter _all = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<string, SessionCounter> _users = new(StringComparer.Ordinal);

    /// <summary>Takes a place in each count.</summary>
    /// <param name="settings">The limits of all listeners together.</param>
    /// <param name="listener">The listener.</param>
    /// <param name="user">Who; null under TLS pass-through.</param>
    /// <param name="place">To be given back when the session is over.</param>
    /// <returns>Null when there was room, else which limit was met.</returns>
    public RefusalReason? TryTake(
        SessionSettings settings, ListenerModel listener, string? user, out SessionPlace place)
    {
        place = default;
        if (!_all.TryTake(settings.MaximumSessions))
        {
            return RefusalReason.TooManySessions;
        }
        if (!listener.Counter.TryTake(listener.Config.MaximumSessions))
        {
            _all.Release();
            return RefusalReason.TooManyOnListener;
        }
        SessionCounter? ofUser = null;
        if (settings.MaximumSessionsPerUser > 0 && user is not null
            && !TryTake(user, settings.MaximumSessionsPerUser, out ofUser))
        {
            _all.Release();
            listener.Counter.Release();
            return RefusalReason.TooManyOfUser;
        }
        place = new SessionPlace(listener.Counter, ofUser);
        return null;
    }

    /// <summary>Gives a place back; one that was never taken changes nothing.</summary>
    public void Release(SessionPlace place)
    {
        if (place.OnListener is null)
        {
            return;
        }
        _all.Release();
        place.OnListener.Release();
        place.OfUser?.Release();
    }

    private bool TryTake(string user, int limit, out SessionCounter counter)
    {
        const int ManyUsers = 1_024;
        lock (_lock)
        {
            if (_users.TryGetValue(user, out counter!))
            {
                return counter.TryTake(limit);
            }
            if (_users.Count >= ManyUsers)
            {
                // Names come from clients: those without a session are forgotten, so that they can't fill the memory.
                foreach (var (name, idle) in _users)
                {
                    if (idle.Count == 0)
                    {
                        _users.Remove(name);
                    }
                }
            }
            counter = new SessionCounter();
            _users.Add(user, counter);
            return counter.TryTake(limit);
        }
    }
}
