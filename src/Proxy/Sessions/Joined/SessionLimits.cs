using Routing.Proxy.Configuration;
using Routing.Proxy.Sessions.Refusals;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>Counts sessions against their limits: all together, by listener, by user. Any thread.</summary>
internal sealed class SessionLimits
{
    private readonly SessionCounter _all = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<string, SessionCounter> _users = new(StringComparer.Ordinal);

    /// <summary>Takes a place in each count.</summary>
    /// <param name="settings">The limits of all listeners together.</param>
    /// <param name="listener">The listener.</param>
    /// <param name="user">The name of the user; null under TLS pass-through.</param>
    /// <param name="place">To be given back when the session is over.</param>
    /// <returns>Null when there was room, else which limit was met.</returns>
    public RefusalReason? TryTake(
        SessionSettings settings, ListenerModel listener, string? user, out SessionPlace place)
    {
        place = default;
        // All limits are checked before a place is taken: a place that is taken for a moment, by a client that is then
        // refused for another limit, would keep another client out.
        lock (_lock)
        {
            if (!_all.HasRoom(settings.MaximumSessions))
            {
                return RefusalReason.TooManySessions;
            }
            if (!listener.Counter.HasRoom(listener.Config.MaximumSessions))
            {
                return RefusalReason.TooManyOnListener;
            }
            var limited = settings.MaximumSessionsPerUser > 0 ? user : null;
            if (limited is not null && !CounterOf(limited).HasRoom(settings.MaximumSessionsPerUser))
            {
                return RefusalReason.TooManyOfUser;
            }
            place = Take(listener, limited);
            return null;
        }
    }

    /// <summary>Takes a place in each count for a session that is there already, whatever the limits say.</summary>
    /// <param name="listener">The listener.</param>
    /// <param name="user">The name of the user; null where users are not limited.</param>
    public SessionPlace TakeAnyway(ListenerModel listener, string? user)
    {
        lock (_lock)
        {
            return Take(listener, user);
        }
    }

    private SessionPlace Take(ListenerModel listener, string? user)
    {
        var ofUser = user is null ? null : CounterOf(user);
        _all.Add(1);
        listener.Counter.Add(1);
        ofUser?.Add(1);
        return new SessionPlace(listener.Counter, ofUser, user);
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

    private SessionCounter CounterOf(string user)
    {
        const int ManyUsers = 1_024;
        if (_users.TryGetValue(user, out var counter))
        {
            return counter;
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
        return counter;
    }
}
