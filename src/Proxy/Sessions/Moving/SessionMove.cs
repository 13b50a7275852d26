using System.Buffers;
using System.Text;
using Routing.Proxy.Members;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Login;
using Routing.Proxy.Sessions.Startup;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Moving;

/// <summary>
/// Moves one session at rest to another server, or to its own one after a restart. On the client's loop.
/// </summary>
/// <remarks>
/// It searches for a server as a new client's login does (waiting for a leader at the pace of moves and for the hold
/// time, repeating what fails for the retry time), logs in there with the session's own start-up message, makes there
/// what the session held, and tells the client the parameters that differ. Nothing is read from the client meanwhile,
/// and nothing of the old session is repeated: it was at rest. What fails for good leaves the session as it was.
/// </remarks>
/// <param name="hub">What all sessions share.</param>
/// <param name="session">The session.</param>
internal sealed class SessionMove(SessionHub hub, MovingSession session)
{
    private readonly RepeatableLogin _again = session.Login;
    private readonly ITransportConnection _connection = session.Client;
    private readonly NewClient _client = new(hub, session.Listener, session.Client)
    {
        Source = session.Login.Source,
        Destination = session.Login.Destination,
    };

    private readonly long _latest = hub.After(session.Listener.Config.HoldTime + hub.Settings.RetryTime);

    private LoginRequest Request { get; } = new(
        StartupMessage.TryRead(session.Login.Packet, out var message, out _) ? message : null, session.Login.Packet);

    /// <summary>See <see cref="ISessionMover.IsStoppingAsync"/>.</summary>
    /// <exception cref="IOException">The client went away.</exception>
    public async Task<bool> IsStoppingAsync()
    {
        hub.Deadlines.Add(_client.Limit);
        try
        {
            var (server, failure) = await ClientWatch.WhileStayingAsync(
                _connection, new LoginAttempt(hub, _client, Request, session.Target, isWatched: true).MakeAsync,
                static late => late.Server?.Abort());
            server?.Abort();
            return failure is not null && failure != LoginFailure.NoSocket;
        }
        finally
        {
            hub.Deadlines.Remove(_client.Limit);
        }
    }

    /// <summary>Moves it.</summary>
    /// <param name="tellsAll">The client is told all parameters, not those alone that differ from its login's.</param>
    public async ValueTask<MoveEnd> RunAsync(bool tellsAll)
    {
        hub.Deadlines.Add(_client.Limit);
        var search = new ServerSearch(hub, _client, Request, isMove: true);
        try
        {
            while (await search.RunAsync() == SearchEnd.Found)
            {
                var login = new OwnLogin(search.Server!, search.Target!.MustBePrimary, _again.Secret);
                var end = await LogInAsync(search.Server!, login);
                var failure = end == OwnLoginEnd.Ready ? null : FailureOf(end, login.Code);
                if (end == OwnLoginEnd.Ready)
                {
                    var (maker, made) = await MakeAsync(search.Server!);
                    if (made == StateMade.Whole)
                    {
                        return new(await EndAsync(search, login, maker, tellsAll));
                    }
                    if (made == StateMade.Refused && FailureOf(OwnLoginEnd.Refused, maker!.Code) is null)
                    {
                        return new(null, NotMoved.StateRefused);
                    }
                    failure = made == StateMade.Refused ? LoginFailure.NotReady : LoginFailure.Dropped;
                }
                else if (end == OwnLoginEnd.Asked)
                {
                    return new(null, NotMoved.NeedsClient);
                }
                if (failure is null)
                {
                    return new(null, NotMoved.Refused, login.Words);
                }
                if (!search.TryNoteFailure(failure) || hub.Time.GetTimestamp() >= _latest)
                {
                    break;
                }
            }
            return new(null, hub.IsDraining ? NotMoved.Draining : NotMoved.NoServer);
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            return new(null, NotMoved.ClientGone);
        }
        finally
        {
            search.LetGo();
            hub.Deadlines.Remove(_client.Limit);
        }
    }

    private ValueTask<OwnLoginEnd> LogInAsync(ITransportConnection server, OwnLogin login) =>
        WatchedAsync(server, Math.Min(_latest, hub.After(hub.Settings.LoginTimeout)), login.RunAsync);

    // What the old session held, in the new one.
    private async ValueTask<(SessionStateMaker? Maker, StateMade Made)> MakeAsync(ITransportConnection server)
    {
        if (session.State is not { } state)
        {
            return (null, StateMade.Whole);
        }
        var maker = new SessionStateMaker(server, state);
        return (maker, await WatchedAsync(server, _latest, maker.RunAsync));
    }

    // The session goes on at this server; before, those that listen do so again.
    private async ValueTask<MovedTo> EndAsync(
        ServerSearch search, OwnLogin login, SessionStateMaker? maker, bool tellsAll)
    {
        if (session.Listening is { } listening)
        {
            listening.Dispose();
        }
        else
        {
            await hub.Listening.PassAsync(session.Listener.Config.HoldTime, hub.Time);
            await new LoopSwitch(_connection);
        }
        await TellAsync(login.Parameters, maker, tellsAll);
        var moved = new MovedTo(search.Target!, search.Server!, search.Ticket, login.Key);
        (search.Server, search.Ticket) = (null, null);
        return moved;
    }

    private async ValueTask<T> WatchedAsync<T>(ITransportConnection server, long deadline, Func<ValueTask<T>> work)
    {
        _client.Limit.Watch(server, deadline);
        var end = await ClientWatch.WhileStayingAsync(
            _connection,
            async gone =>
            {
                await using var abort =
                    gone.UnsafeRegister(static state => ((ITransportConnection)state!).Abort(), server);
                return await work();
            },
            static _ => { });
        _client.Limit.Lift();
        return end;
    }

    // Null: the server's decision, and its words are for the client.
    private static LoginFailure? FailureOf(OwnLoginEnd end, string? code) => end switch
    {
        OwnLoginEnd.Standby => LoginFailure.WrongRole,
        OwnLoginEnd.Broken => LoginFailure.NotPostgres,
        OwnLoginEnd.Lost => LoginFailure.Dropped,
        _ => code switch
        {
            SqlState.CannotConnectNow or SqlState.AdminShutdown or SqlState.CrashShutdown => LoginFailure.NotReady,
            SqlState.TooManyConnections => LoginFailure.Full,
            _ => null,
        },
    };

    // What differs, the last value of each; and what waits for the client since its old server: joined again, its
    // output has to be empty.
    private async ValueTask TellAsync(ReadOnlyMemory<byte> parameters, SessionStateMaker? maker, bool tellsAll)
    {
        var last = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        var rest = new ReadOnlySequence<byte>(parameters);
        while (ServerMessage.Peek(rest) is { State: ServerMessageState.Whole } message)
        {
            last[NameOf(rest)] = rest.Slice(0, message.Length).ToArray();
            rest = rest.Slice(message.Length);
        }
        foreach (var changed in maker?.Parameters ?? [])
        {
            last[NameOf(new ReadOnlySequence<byte>(changed))] = changed;
        }
        foreach (var one in last.Values.Where(one => tellsAll || _again.Parameters.AsSpan().IndexOf(one) < 0)
            .Concat(maker?.Notifications ?? []))
        {
            _connection.Output.Write(one);
        }
        using var limit = new CancellationTokenSource(
            TimeSpan.FromTicks(Math.Max(1, hub.Time.GetElapsedTime(hub.Time.GetTimestamp(), _latest).Ticks)), hub.Time);
        await _connection.Output.FlushAsync(limit.Token);
    }

    private static string NameOf(in ReadOnlySequence<byte> parameter)
    {
        var body = ServerMessage.Peek(parameter).Body(parameter);
        return Encoding.UTF8.GetString(body[..Math.Max(0, body.IndexOf((byte)0))]);
    }
}
