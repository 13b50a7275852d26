using Routing.Proxy.Configuration;
using Routing.Proxy.Members;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Login;

/// <summary>
/// How long one attempt waits for a member's first answer: a long time while the member is slow, a short one when it
/// is silent.
/// </summary>
/// <remarks>
/// After half of each answer time-out the member's postmaster is asked for a sign of life, and gets the other half to
/// answer. While it gives one, the attempt waits on, up to the login time-out, and its client is watched, so that a
/// login that no client waits for any more is given up. A second attempt would only add to the load of a slow server.
/// </remarks>
/// <param name="hub">What all sessions share.</param>
/// <param name="target">The member.</param>
/// <param name="header">The PROXY header that it expects.</param>
/// <param name="settings">The time-outs.</param>
/// <param name="isSlow">Called once, on any thread, when the member has turned out to be slow.</param>
/// <param name="giveUp">Ends the attempt; called on any thread, and never once <see cref="End"/> has returned.</param>
internal sealed class AnswerPatience(
    SessionHub hub, RouteTarget target, ProxyProtocolVersion header, SessionSettings settings, Action isSlow,
    Action giveUp)
{
    private readonly Lock _lock = new();
    private readonly long _latest = hub.After(settings.LoginTimeout);
    private bool _isOver;
    private bool _isSlow;

    private TimeSpan Half => settings.AnswerTimeout / 2;

    /// <summary>The attempt begins to wait.</summary>
    public void Begin(Expiring owner) => owner.Deadline = hub.After(Half);

    /// <summary>The attempt is over.</summary>
    public void End(Expiring owner)
    {
        lock (_lock)
        {
            _isOver = true;
            owner.Deadline = long.MaxValue;
        }
    }

    /// <summary>
    /// The deadline has passed: asks the member, and then moves the deadline or gives the attempt up.
    /// </summary>
    public void Expire(Expiring owner)
    {
        if (hub.Time.GetTimestamp() < _latest && !(hub.IsDraining && hub.DrainLeft <= TimeSpan.Zero))
        {
            _ = AskAsync(owner);
            return;
        }
        lock (_lock)
        {
            if (!_isOver)
            {
                giveUp();
            }
        }
    }

    // Never throws.
    private async Task AskAsync(Expiring owner)
    {
        var isAlive = await hub.Signs.ShareAsync(target, header, Half);
        lock (_lock)
        {
            if (_isOver)
            {
                return;
            }
            if (!isAlive)
            {
                giveUp();
                return;
            }
            owner.Deadline = hub.After(Half);
            if (_isSlow)
            {
                return;
            }
            _isSlow = true;
        }
        isSlow();
    }
}
