using Routing.Proxy.Transport;

namespace Routing.Proxy.Sessions;

/// <summary>Leads each accepted client through its life: start-up, routing, login, relay, end.</summary>
/// <remarks>
/// One for the process: cancel requests find the sessions of all its listeners. The implementation is made as
/// <c>new SessionServer(ITransport, IRouter, IReadOnlyList&lt;ListenerSettings&gt;, SessionSettings, ISessionEvents, TimeProvider,
/// ILoggerFactory)</c>; it follows <see cref="Routes.IRouter.Changed"/> by itself.
/// </remarks>
internal interface ISessionServer : IAsyncDisposable
{
    /// <summary>Takes over a connection that was accepted for this listener. Called on the connection's loop; never throws.</summary>
    /// <param name="listener">The listener's name; one that is not (any more) in the settings: the connection is closed.</param>
    /// <param name="connection">Owned by the server from now on.</param>
    void Accept(string listener, ITransportConnection connection);

    /// <summary>Judges all open sessions now and ends those that may not stay; done by itself after each change of the routes.</summary>
    ValueTask SweepAsync();

    /// <summary>
    /// Lets those in who were accepted and are on their way, after their listeners have stopped: returns when nobody is in its
    /// start-up or login, after 200 ms at the earliest and after <paramref name="limit"/> at the latest.
    /// </summary>
    ValueTask SettleAsync(TimeSpan limit);

    /// <summary>
    /// Turns new clients away with 57P03 and ends sessions as they come to rest, replication at once; what still runs after
    /// <paramref name="deadline"/> is cut. Returns when no session is left. Can't be undone.
    /// </summary>
    ValueTask DrainAsync(TimeSpan deadline);

    /// <summary>Takes new settings for new sessions, and reads the certificates again; running sessions keep theirs.</summary>
    /// <exception cref="IOException">A certificate can't be read: nothing was changed.</exception>
    void Reload(IReadOnlyList<ListenerSettings> listeners, SessionSettings settings);

    /// <summary>Counts what there is now; walks all sessions, so not more often than a scrape asks.</summary>
    SessionCounts Count();
}
