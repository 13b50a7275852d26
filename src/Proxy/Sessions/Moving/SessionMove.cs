using System.Buffers;
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
/// It searches for a server as a new client's login does (waiting for a leader at the listener's pace and for its hold
/// time, repeating what fails for the retry time), logs in there with the session's own start-up message, and tells the
/// client the parameters that differ. Nothing is read from the client meanwhile, and nothing of the old session is
/// repeated: it was at rest. What fails for good leaves the session as it was.
/// </remarks>
/// <param name="hub">What all sessions share.</param>
/// <param name="listener">Where the session's client came in.</param>
/// <param name="connection">The client's connection.</param>
/// <param name="again">What the login takes.</param>
internal sealed class SessionMove(
    SessionHub hub, ListenerModel listener, ITransportConnection connection, RepeatableLogin again)
{
    private readonly NewClient _client = new(hub, listener, connection)
    {
        Source = again.Source,
        Destination = again.Destination,
    };

    private readonly long _latest = hub.After(listener.Config.HoldTime + hub.Settings.RetryTime);

    /// <summary>Why it did not move.</summary>
    public NotMoved Reason { get; private set; } = NotMoved.NoServer;

    /// <summary>What the server has said to refuse the login for good; null: nothing.</summary>
    public byte[]? Words { get; private set; }

    private LoginRequest Request { get; } = new(
        StartupMessage.TryRead(again.Packet, out var message, out _) ? message : null, again.Packet);

    /// <summary>
    /// Whether the member that the session is at is stopping, has stopped, or is the wrong one by now: what it says to
    /// end a session is then no decision about that session.
    /// </summary>
    /// <param name="target">The member.</param>
    /// <exception cref="IOException">The client went away.</exception>
    public async ValueTask<bool> IsStoppingAsync(RouteTarget target)
    {
        hub.Deadlines.Add(_client.Limit);
        try
        {
            var (server, failure) = await ClientWatch.WhileStayingAsync(
                connection, new LoginAttempt(hub, _client, Request, target, isWatched: true).MakeAsync,
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
    /// <returns>Where the session is now; null: <see cref="Reason"/> tells why it is not.</returns>
    public async ValueTask<MovedTo?> RunAsync(bool tellsAll)
    {
        hub.Deadlines.Add(_client.Limit);
        var search = new ServerSearch(hub, _client, Request);
        try
        {
            while (await search.RunAsync() == SearchEnd.Found)
            {
                var login = new OwnLogin(search.Server!, search.Target!.MustBePrimary);
                var end = await LogInAsync(search.Server!, login);
                if (end == OwnLoginEnd.Ready)
                {
                    await TellAsync(login.Parameters, tellsAll);
                    var moved = new MovedTo(search.Target, search.Server!, search.Ticket, login.Key);
                    (search.Server, search.Ticket) = (null, null);
                    return moved;
                }
                if (end == OwnLoginEnd.Asked)
                {
                    Reason = NotMoved.NeedsClient;
                    return null;
                }
                if (FailureOf(end, login.Code) is not { } failure)
                {
                    (Reason, Words) = (NotMoved.Refused, login.Words);
                    return null;
                }
                if (!search.TryNoteFailure(failure) || hub.Time.GetTimestamp() >= _latest)
                {
                    return null;
                }
            }
            Reason = hub.IsDraining ? NotMoved.Draining : NotMoved.NoServer;
            return null;
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            Reason = NotMoved.ClientGone;
            return null;
        }
        finally
        {
            search.LetGo();
            hub.Deadlines.Remove(_client.Limit);
        }
    }

    private async ValueTask<OwnLoginEnd> LogInAsync(ITransportConnection server, OwnLogin login)
    {
        _client.Limit.Watch(server, Math.Min(_latest, hub.After(hub.Settings.LoginTimeout)));
        var end = await ClientWatch.WhileStayingAsync(
            connection,
            async gone =>
            {
                await using var abort =
                    gone.UnsafeRegister(static state => ((ITransportConnection)state!).Abort(), server);
                return await login.RunAsync();
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

    // What differs, and what waits for the client since its old server: joined again, its output has to be empty.
    private async ValueTask TellAsync(ReadOnlyMemory<byte> parameters, bool tellsAll)
    {
        var rest = new ReadOnlySequence<byte>(parameters);
        while (ServerMessage.Peek(rest) is { State: ServerMessageState.Whole } message)
        {
            var one = rest.Slice(0, message.Length).ToArray();
            if (tellsAll || again.Parameters.AsSpan().IndexOf(one) < 0)
            {
                connection.Output.Write(one);
            }
            rest = rest.Slice(message.Length);
        }
        using var limit = new CancellationTokenSource(
            TimeSpan.FromTicks(Math.Max(1, hub.Time.GetElapsedTime(hub.Time.GetTimestamp(), _latest).Ticks)), hub.Time);
        await connection.Output.FlushAsync(limit.Token);
    }
}

/// <summary>Where a session has moved to.</summary>
/// <param name="Target">The member.</param>
/// <param name="Server">The server's connection: logged in, and ready.</param>
/// <param name="Ticket">Counts the session at its member.</param>
/// <param name="Key">The key by which the server knows the session; its client has another one.</param>
internal sealed record MovedTo(RouteTarget Target, ITransportConnection Server, IDisposable? Ticket, BackendKey? Key);
