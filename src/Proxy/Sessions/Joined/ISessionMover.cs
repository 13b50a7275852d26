using Routing.Proxy.Members;
using Routing.Proxy.Sessions.Secrets;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>Finds another server for a session at rest. On the session's loop.</summary>
internal interface ISessionMover
{
    /// <summary>
    /// Whether the member that a session is at is stopping, has stopped, or is the wrong one by now: what it says to
    /// end a session is then no decision about that session.
    /// </summary>
    /// <param name="session">The session.</param>
    /// <exception cref="IOException">The client went away.</exception>
    Task<bool> IsStoppingAsync(MovingSession session);

    /// <summary>Finds the key that a session's client has logged in with. Any thread; never throws.</summary>
    /// <param name="user">The user that has logged in.</param>
    /// <param name="exchange">What was said.</param>
    /// <param name="session">The session; its member is asked for the verifier.</param>
    /// <returns>Null: it can't be found.</returns>
    Task<HeldSecret?> FindKeyAsync(string user, LoginExchange exchange, MovingSession session);

    /// <summary>Asks a session at rest, on its own connection, what it holds. Never throws for a server.</summary>
    /// <param name="session">The session.</param>
    /// <param name="server">Its server's connection.</param>
    /// <param name="endsTransaction">A failed transaction is open, and is ended first.</param>
    /// <exception cref="IOException">The client went away.</exception>
    ValueTask<StateAnswer> AskAsync(
        MovingSession session, ITransportConnection server, bool endsTransaction = false);

    /// <summary>Logs the session in at another server, or anew at its own one.</summary>
    /// <param name="session">The session.</param>
    /// <param name="tellsAll">The client is told all parameters, not those alone that differ from its login's.</param>
    ValueTask<MoveEnd> MoveAsync(MovingSession session, bool tellsAll);
}

/// <summary>A session whose server is lost to it.</summary>
/// <param name="Listener">Where its client came in.</param>
/// <param name="Client">The client's connection.</param>
/// <param name="Login">What another login takes.</param>
/// <param name="Target">The member that it is at.</param>
/// <param name="State">What is made anew; null: nothing.</param>
/// <param name="Listening">Disposed of when it listens again; null: it does not listen.</param>
internal sealed record MovingSession(
    ListenerModel Listener, ITransportConnection Client, RepeatableLogin Login, RouteTarget Target,
    SessionState? State = null, IDisposable? Listening = null);

/// <summary>How a move ended.</summary>
/// <param name="Moved">Where the session is now; null: it did not move.</param>
/// <param name="Reason">Why it did not.</param>
/// <param name="Words">What a server has said to refuse the session for good; null: nothing.</param>
internal readonly record struct MoveEnd(MovedTo? Moved, NotMoved Reason = default, byte[]? Words = null);

/// <summary>Where a session has moved to.</summary>
/// <param name="Target">The member.</param>
/// <param name="Server">The server's connection: logged in, and ready.</param>
/// <param name="Ticket">Counts the session at its member.</param>
/// <param name="Key">The key by which the server knows the session; its client has another one.</param>
internal sealed record MovedTo(RouteTarget Target, ITransportConnection Server, IDisposable? Ticket, BackendKey? Key);
