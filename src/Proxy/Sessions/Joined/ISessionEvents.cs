using Routing.Proxy.Members;
using Routing.Proxy.Sessions.Refusals;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>Told what happens to sessions; the host makes metrics of it.</summary>
/// <remarks>
/// Called on the loops' threads and on others, at once and often: quick, thread-safe, never throws. Listener and member
/// names are the only labels. Gauges (sessions by listener and member, bytes of running sessions, pending, held) are
/// read from <see cref="SessionServer.Count"/> instead.
/// </remarks>
internal interface ISessionEvents
{
    /// <summary>A connection was accepted; whatever becomes of it.</summary>
    void Accepted(string listener);

    /// <summary>A client was turned away before it had a session.</summary>
    void Refused(string listener, RefusalReason reason);

    /// <summary>A client had to wait for a target.</summary>
    /// <param name="listener">Its listener.</param>
    /// <param name="waited">For how long.</param>
    /// <param name="routed">Whether it got one in the end.</param>
    void Held(string listener, TimeSpan waited, bool routed);

    /// <summary>An attempt at a member failed; the client did not see it unless it was the last one.</summary>
    void AttemptFailed(string listener, string member, LoginFailure failure);

    /// <summary>
    /// A login is complete and relayed (or a TLS pass-through is joined); exactly one <see cref="Closed"/> follows.
    /// </summary>
    /// <param name="listener">Its listener.</param>
    /// <param name="member">Where it runs.</param>
    /// <param name="login">From the client's start-up message to the server's ReadyForQuery, holding included.</param>
    void Opened(string listener, string member, TimeSpan login);

    /// <summary>A session that was opened is over.</summary>
    void Closed(string listener, string member, SessionEnd end, long bytesFromClient, long bytesFromServer);

    /// <summary>
    /// A session goes on at another server, or anew at its own; it stays open, and its bytes are counted anew.
    /// </summary>
    /// <param name="listener">Its listener.</param>
    /// <param name="from">Where it ran.</param>
    /// <param name="to">Where it runs now.</param>
    /// <param name="pause">From the loss of its server to the new one being ready.</param>
    /// <param name="bytesFromClient">Bytes that were taken from the client for the old server.</param>
    /// <param name="bytesFromServer">Bytes that were taken from the old server.</param>
    void Moved(
        string listener, string from, string to, TimeSpan pause, long bytesFromClient, long bytesFromServer);

    /// <summary>A session was held at rest while its member was about to hand over.</summary>
    /// <param name="listener">Its listener.</param>
    /// <param name="time">For how long; a move that follows counts on its own.</param>
    void SessionHeld(string listener, TimeSpan time);

    /// <summary>A session of a listener whose sessions may move lost its server and did not move.</summary>
    void NotMoved(string listener, NotMoved reason);

    /// <summary>
    /// A session of another process goes on here; exactly one <see cref="Closed"/> follows. That process has reported
    /// its own.
    /// </summary>
    /// <param name="listener">Its listener.</param>
    /// <param name="member">Where it runs.</param>
    void TakenOver(string listener, string member);

    /// <summary>A statement that had no effect was sent again to the server that its session moved to.</summary>
    void Repeated(string listener, RepeatReason reason);

    /// <summary>A statement that had no effect was not repeated, and its session's listener repeats such.</summary>
    void NotRepeated(string listener, NotRepeated reason);

    /// <summary>A cancel request was dealt with.</summary>
    void Cancelled(string listener, CancelOutcome outcome);
}
