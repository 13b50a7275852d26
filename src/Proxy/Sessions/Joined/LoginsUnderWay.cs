using System.Collections.Concurrent;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>The logins that are relayed: a leader that hands over waits for them as for open transactions.</summary>
/// <remarks>
/// Such a login can't go on at another member: the client has had the server's challenge. One that takes longer than
/// it was given keeps no leader waiting.
/// </remarks>
/// <param name="time">The clock.</param>
internal sealed class LoginsUnderWay(TimeProvider time)
{
    private readonly ConcurrentDictionary<object, (string Member, long Until)> _all = new();

    /// <summary>A login begins. Any thread.</summary>
    /// <param name="login">The login.</param>
    /// <param name="member">Where.</param>
    /// <param name="until">The timestamp until which it counts.</param>
    public void Begin(object login, string member, long until) => _all[login] = (member, until);

    /// <summary>It is over, or never was. Any thread.</summary>
    public void End(object login) => _all.TryRemove(login, out _);

    /// <summary>How many there are at a member. Any thread.</summary>
    public int CountAt(string member)
    {
        var now = time.GetTimestamp();
        return _all.Count(one => one.Value.Member == member && now < one.Value.Until);
    }
}
