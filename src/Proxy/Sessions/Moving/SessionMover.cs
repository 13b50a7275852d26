using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Secrets;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Sessions.Moving;

/// <summary>Moves the sessions of one proxy.</summary>
internal sealed class SessionMover(SessionHub hub) : ISessionMover
{
    private readonly Verifiers _verifiers = new(hub);

    /// <inheritdoc/>
    public Task<HeldSecret?> FindKeyAsync(string user, LoginExchange exchange, MovingSession session) =>
        _verifiers.FindKeyAsync(user, exchange, session.Target, session.Listener);

    /// <inheritdoc/>
    public Task<bool> IsStoppingAsync(MovingSession session) => new SessionMove(hub, session).IsStoppingAsync();

    /// <inheritdoc/>
    public ValueTask<StateAnswer> AskAsync(
        MovingSession session, ITransportConnection server, bool endsTransaction = false) =>
        SessionStateReader.AskAsync(session, server, endsTransaction, hub);

    /// <inheritdoc/>
    public ValueTask<MoveEnd> MoveAsync(MovingSession session, bool tellsAll) =>
        new SessionMove(hub, session).RunAsync(tellsAll);
}
