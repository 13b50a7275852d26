using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Routing.Proxy.Configuration;
using Routing.Proxy.Routes;
using Routing.Proxy.Sessions.Handing;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Moving;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Sessions;

/// <summary>Leads each accepted client through its life: start-up, routing, login, relay, end.</summary>
/// <remarks>
/// One for the process: cancel requests find the sessions of all its listeners. It follows <see cref="Router.Changed"/>
/// by itself.
/// </remarks>
internal sealed partial class SessionServer : IAsyncDisposable
{
    private static readonly TimeSpan s_sweepInterval = TimeSpan.FromSeconds(1);

    // for the first statement behind a login
    private static readonly TimeSpan s_leastSettling = TimeSpan.FromMilliseconds(200);

    private readonly SessionHub _hub;
    private readonly ILogger _logger;
    private readonly ITimer _sweeper;
    private readonly TimeProvider _time;
    private volatile Dictionary<string, ListenerModel> _listeners;
    // listeners that are no more since the last reload
    private HashSet<string> _retired = new(StringComparer.Ordinal);
    private int _isDue;

    /// <summary>Makes it; nothing is accepted before <see cref="Accept"/> is called.</summary>
    /// <exception cref="IOException">A certificate can't be read.</exception>
    public SessionServer(
        ITransport transport, Router router, IReadOnlyList<ListenerConfig> listeners, SessionSettings settings,
        ISessionEvents events, TimeProvider time, ILoggerFactory loggers)
    {
        _time = time;
        _logger = loggers.CreateLogger("sessions");
        _listeners =
            listeners.ToDictionary(one => one.Name, one => ListenerModel.Create(one, null), StringComparer.Ordinal);
        _hub = new SessionHub(transport, router, events, time, _logger,
            settings) { SweepAt = due => _ = SweepAgainAsync(due) };
        _hub.Mover = new SessionMover(_hub);
        _sweeper =
            time.CreateTimer(static self => ((SessionServer)self!).Tend(), this, s_sweepInterval, s_sweepInterval);
        router.Changed += OnChanged;
    }

    /// <summary>
    /// Takes over a connection that was accepted for this listener. Called on the connection's loop; never throws.
    /// </summary>
    /// <param name="listener">
    /// The listener's name; one that is not (any more) in the settings: the connection is closed.
    /// </param>
    /// <param name="connection">Owned by the server from now on.</param>
    public void Accept(string listener, ITransportConnection connection)
    {
        if (_listeners.TryGetValue(listener, out var model))
        {
            _ = new Newcomer(_hub, model, connection).EnterAsync();   // owns itself; never throws
        }
        else
        {
            connection.Abort();
        }
    }

    /// <summary>
    /// Judges all open sessions now and ends those that may not stay; done by itself after each change of the routes.
    /// </summary>
    public void Sweep()
    {
        var sweep = new SweepState(_hub);
        _hub.Sessions.ForEach(sweep, static (state, session) => state.Visit(session));
        if (sweep.Again is { } again)
        {
            _ = SweepAgainAsync(again);
        }
    }

    /// <summary>
    /// Waits for the clients that were accepted before their listeners stopped: returns when none is in its start-up or
    /// login, after 200 ms at the earliest and after <paramref name="limit"/> at the latest.
    /// </summary>
    public async ValueTask SettleAsync(TimeSpan limit)
    {
        var (earliest, latest) = (_hub.After(s_leastSettling), _hub.After(limit));
        while (_time.GetTimestamp() is var now && now < latest
            && (now < earliest || _hub.Pending.Count + _hub.Starting.Count > 0))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(10), _time);
        }
    }

    /// <summary>
    /// Turns new clients away with 57P03 and ends sessions as they come to rest, replication at once; what still runs
    /// after <paramref name="deadline"/> is cut. Returns when no session is left. Can't be undone.
    /// </summary>
    public async ValueTask DrainAsync(TimeSpan deadline)
    {
        var until = _hub.After(deadline);
        _hub.DrainUntil = until;
        _hub.IsDraining = true;
        EndSessions(deadline);
        while (_hub.Sessions.Count + _hub.Starting.Count > 0 && _time.GetTimestamp() < until)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), _time);
        }
        EndSessions(TimeSpan.Zero);
        _hub.Deadlines.ExpireAll();
        var last = _hub.After(_hub.Settings.BoundaryGrace + _hub.Settings.Linger);
        while (_hub.Sessions.Count > 0 && _time.GetTimestamp() < last)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), _time);
        }
    }

    /// <summary>
    /// Takes new settings for new sessions, and reads the certificates again; running sessions keep theirs.
    /// </summary>
    /// <exception cref="IOException">A certificate can't be read: nothing was changed.</exception>
    public void Reload(IReadOnlyList<ListenerConfig> listeners, SessionSettings settings)
    {
        var before = _listeners;
        var next = listeners.ToDictionary(
            one => one.Name, one => ListenerModel.Create(one, before.GetValueOrDefault(one.Name)),
            StringComparer.Ordinal);
        foreach (var gone in before.Values.Where(one => !_retired.Contains(one.Name)))
        {
            // clients that it has just accepted are not turned away: it is forgotten with the next reload
            next.TryAdd(gone.Name, gone);
        }
        _retired = [.. next.Keys.Except(listeners.Select(one => one.Name))];
        _listeners = next;
        _hub.Settings = settings;
    }

    /// <summary>Counts what there is now; walks all sessions, so not more often than a scrape asks.</summary>
    public SessionCounts Count()
    {
        var groups = new Dictionary<(string, string), SessionGroup>();
        _hub.Sessions.ForEach(groups, static (all, session) =>
        {
            var key = (session.Listener.Name, session.Target.Member);
            var group = all.TryGetValue(key, out var known) ? known : new SessionGroup(key.Name, key.Member, 0, 0, 0);
            all[key] = group with
            {
                Open = group.Open + 1,
                Movable = group.Movable + (session.MayMove ? 1 : 0),
                BytesFromClient = group.BytesFromClient + session.FromClient,
                BytesFromServer = group.BytesFromServer + session.FromServer,
            };
        });
        return new SessionCounts(_hub.Pending.Count, _hub.Starting.Count, [.. groups.Values], _hub.NotMoved);
    }

    /// <summary>
    /// How many sessions at a member are not held yet, of those that can be, and how many clients log in there.
    /// </summary>
    public int RestlessAt(string member)
    {
        // Ahead of the sessions: a login that ends meanwhile is one of them.
        var count = new StrongBox<int>(_hub.Logins.CountAt(member));
        _hub.Sessions.ForEach((count, member), static (state, session) =>
            state.count.Value += session.KeepsLeaderBusy && session.Target.Member == state.member ? 1 : 0);
        return count.Value;
    }

    /// <summary>Clients that have connected and are in no session yet.</summary>
    public int Unjoined => _hub.Pending.Count + _hub.Starting.Count;

    /// <summary>Shows each open session to a function, which must be quick.</summary>
    public void ForEach<T>(T state, Action<T, Session> visit) => _hub.Sessions.ForEach(state, visit);

    /// <summary>
    /// Makes a session of another process known here, with its key. It begins with <see cref="Session.Begin"/>, or is
    /// dropped with <see cref="Session.DropAsync"/>.
    /// </summary>
    /// <param name="state">What the other process has written.</param>
    /// <param name="client">The client's socket; the session's, unless there is none.</param>
    /// <param name="server">The server's, likewise.</param>
    /// <param name="reason">Why there is none.</param>
    public Session? TakeOver(ReadOnlySpan<byte> state, int client, int server, out KeptReason reason)
    {
        reason = KeptReason.UnknownState;
        SessionParcel? parcel;
        try
        {
            parcel = SessionCodec.Read(state, client, server, _hub);
        }
        catch (InvalidDataException)
        {
            return null;
        }
        if (parcel is null)
        {
            return null;
        }
        if (!_listeners.TryGetValue(parcel.Listener, out var listener))
        {
            reason = KeptReason.NoListener;
        }
        else if (_hub.Transport.TakeOver(parcel.Client, null) is not { } own)
        {
            reason = KeptReason.Transport;
        }
        else
        {
            var session = Session.TakeOver(
                _hub, listener, parcel, own, _hub.Transport.TakeOver(parcel.Server, own)!,
                parcel.IsReplication ? default : _hub.Limits.TakeAnyway(listener, parcel.User));
            session.Announce();
            return session;
        }
        parcel.Login?.Dispose();
        return null;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _hub.Router.Changed -= OnChanged;
        await _sweeper.DisposeAsync();
        // What was not drained is closed: the transport does not know the owners of its connections.
        _hub.IsDraining = true;
        _hub.Deadlines.ExpireAll();
        _hub.Sessions.ForEach(0, static (_, session) => session.Abort());
        _hub.Dispose();
    }

    // Called on the topology's thread: the sweep runs elsewhere, and once for many changes.
    private void OnChanged()
    {
        if (Interlocked.Exchange(ref _isDue, 1) == 0)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static self => self.SweepSafely(), this, preferLocal: false);
        }
    }

    private void SweepSafely()
    {
        Volatile.Write(ref _isDue, 0);
        try
        {
            Sweep();
        }
        catch (Exception error)
        {
            LogFault(error);
        }
    }

    private async Task SweepAgainAsync(long due)
    {
        var left = _time.GetElapsedTime(_time.GetTimestamp(), due);
        await Task.Delay(left > TimeSpan.Zero ? left : TimeSpan.FromMilliseconds(1), _time);
        OnChanged();
    }

    // Once a second: idle sessions, and certificates that were changed.
    private void Tend()
    {
        try
        {
            var now = _time.GetTimestamp();
            if (_listeners.Values.Any(static one => one.Config.IdleTimeout > TimeSpan.Zero))
            {
                _hub.Sessions.ForEach(now, static (timestamp, session) => session.CheckIdle(timestamp));
            }
            foreach (var listener in _listeners.Values)
            {
                Refresh(listener);
            }
        }
        catch (Exception error)
        {
            LogFault(error);
        }
    }

    private void Refresh(ListenerModel listener)
    {
        try
        {
            var changed = listener.ClientTls?.Refresh() ?? false;
            changed |= listener.MemberTls?.Refresh() ?? false;
            if (changed)
            {
                LogRefreshed(listener.Name);
            }
        }
        catch (IOException problem)
        {
            LogNotRefreshed(listener.Name, problem.Message);
        }
    }

    private void EndSessions(TimeSpan left) =>
        _hub.Sessions.ForEach(left, static (time, session) => session.Drain(time));

    [LoggerMessage(EventId = 6020, Level = LogLevel.Information,
        Message = "The certificates of {Listener} have changed and are in use")]
    private partial void LogRefreshed(string listener);

    [LoggerMessage(EventId = 6021, Level = LogLevel.Error,
        Message = "The changed certificates of {Listener} cannot be used, the old ones stay in use: {Problem}")]
    private partial void LogNotRefreshed(string listener, string problem);

    [LoggerMessage(EventId = 6022, Level = LogLevel.Error,
        Message = "The periodic check of the sessions failed: a fault of this program")]
    private partial void LogFault(Exception error);

    private sealed class SweepState(SessionHub hub)
    {
        private readonly long _now = hub.Time.GetTimestamp();

        public long? Again { get; private set; }

        public void Visit(Session session)
        {
            if (session.Obey(hub.Router.VerdictOn(session.Listener.Name, session.Target), _now) is { } due
                && (Again is null || due < Again))
            {
                Again = due;
            }
        }
    }
}
