using Routing.Proxy.Sessions.Joined;

namespace Routing.Proxy.Sessions.Moving;

/// <summary>Moves the sessions of one proxy.</summary>
internal sealed class SessionMover(SessionHub hub) : ISessionMover
{
    /// <inheritdoc/>
    public Task<bool> IsStoppingAsync(MovingSession session) => new SessionMove(hub, session).IsStoppingAsync();

    /// <inheritdoc/>
    public ValueTask<MoveEnd> MoveAsync(MovingSession session, bool tellsAll) =>
        new SessionMove(hub, session).RunAsync(tellsAll);
}
