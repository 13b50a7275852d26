using Routing.Cluster;
using Routing.Proxy.Configuration;
using Routing.Proxy.Members;
using Routing.Proxy.Routes;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Refusals;
using Routing.Proxy.Sessions.Startup;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Login;

/// <summary>The login of one client: from what it asks for to the joined session. On the client's loop.</summary>
/// <remarks>
/// A machine: it chooses a member, or waits until there is one; it attempts a login there, unseen by the client, and
/// after a failure pauses and chooses again; it relays the login of the member that has answered; and it ends with a
/// session, a refusal, or a member's no to TLS that was to pass through.
/// </remarks>
internal sealed class ClientLogin(SessionHub hub, NewClient client, LoginRequest request)
{
    private const int LongestPause = 8;

    private readonly long _begun = hub.Time.GetTimestamp();
    private readonly List<string> _tried = [];
    private State _state = State.Choosing;
    private RouteTarget? _target;
    private IDisposable? _ticket;           // counts the attempt at its member; the session's once it is joined
    private ITransportConnection? _server;  // likewise
    private Refusal? _refusal;
    private long _giveUpAt;
    private int _failures;   // in a row, at members that have all been tried

    private enum State
    {
        /// <summary>A member is chosen.</summary>
        Choosing,

        /// <summary>There is no member to choose: the client waits for one.</summary>
        Holding,

        /// <summary>A member was chosen: one attempt is made there.</summary>
        Attempting,

        /// <summary>The attempt has failed: the next one waits a little.</summary>
        Pausing,

        /// <summary>The member has given its first answer: the rest of the login is relayed.</summary>
        Relaying,

        /// <summary>The client is told why it has no session.</summary>
        Refusing,

        /// <summary>The client has a session, or was turned away.</summary>
        Over,

        /// <summary>The member does no TLS, which was to pass through: the client goes on with its start-up.</summary>
        Declined,
    }

    private SessionSettings Settings => client.Settings;

    private string Listener => client.Listener.Name;

    /// <summary>Leads the client to a session, or turns it away.</summary>
    /// <returns>
    /// False: the member has declined TLS that was to pass through; the client is neither joined nor refused.
    /// </returns>
    /// <exception cref="IOException">The client went away.</exception>
    public async ValueTask<bool> RunAsync()
    {
        try
        {
            while (_state is not (State.Over or State.Declined))
            {
                _state = _state switch
                {
                    State.Choosing => Adopt(hub.Router.Choose(Listener, _tried), State.Holding),
                    State.Holding => await HoldAsync(),
                    State.Attempting => await AttemptAsync(),
                    State.Pausing => await PauseAsync(),
                    State.Relaying => await RelayAsync(),
                    _ => await RefuseAsync(),
                };
            }
        }
        finally
        {
            LetGo();
        }
        return _state != State.Declined;
    }

    private State Adopt(in RouteChoice choice, State otherwise)
    {
        (_target, _ticket) = (choice.Target, choice.Ticket);
        return choice.Target is null ? otherwise : State.Attempting;
    }

    private async ValueTask<State> HoldAsync()
    {
        var begun = hub.Time.GetTimestamp();
        var routed = false;
        try
        {
            var choice = await ClientWatch.WhileStayingAsync(
                client.Connection, gone => hub.Router.HoldAsync(Listener, _tried, gone),
                static late => late.Ticket?.Dispose());
            routed = choice.Target is not null;
            _refusal = routed ? null : Refusal.NoTarget(choice);
            return Adopt(choice, State.Refusing);
        }
        finally
        {
            hub.Events.Held(Listener, hub.Time.GetElapsedTime(begun), routed);
        }
    }

    private async ValueTask<State> AttemptAsync()
    {
        // The first attempt is not watched: it mostly takes no longer than the watching would.
        var isWatched = _failures > 0;
        var attempt = new LoginAttempt(hub, client, request, _target!, isWatched);
        var (server, failure) = !isWatched ? await attempt.MakeAsync(CancellationToken.None)
            : await ClientWatch.WhileStayingAsync(
                client.Connection, attempt.MakeAsync, static late => late.Server?.Abort());
        if (failure is null)
        {
            _server = server;
            hub.Router.NoteSuccess(_target!);
            if (!request.IsOpaque)
            {
                return State.Relaying;
            }
            Join(NewSession(null, null));
            return State.Over;
        }
        if (attempt.IsDeclined)
        {
            return State.Declined;
        }
        Note(failure);
        LetGo();
        if (hub.Time.GetTimestamp() < _giveUpAt && !(failure.IsLasting && _failures > 1))
        {
            return State.Pausing;
        }
        _refusal = Refusal.MemberFailed(failure, _target!.Member, Settings.RetryTime, _tried);
        return State.Refusing;
    }

    // Another member is tried at once, the same one again after a pause that grows.
    private async ValueTask<State> PauseAsync()
    {
        if (_failures > 1)
        {
            var pause = new Backoff(Settings.RetryPause, Settings.RetryPause * LongestPause).After(_failures - 1);
            await ClientWatch.WhileStayingAsync(
                client.Connection,
                async gone =>
                {
                    await Task.Delay(pause, hub.Time, gone);
                    return true;
                },
                static _ => { });
        }
        return State.Choosing;
    }

    private async ValueTask<State> RelayAsync()
    {
        var relay = new LoginRelay(client, _server!, _target!.MustBePrimary);
        await relay.RelayAsync(hub.After(Settings.LoginTimeout));
        var session = relay.State == LoginState.Ready ? NewSession(relay.Tap, relay.Key) : null;
        session?.Announce();   // before the client can know its key
        await relay.EndAsync();
        if (relay.IsClientGone || (session is not null && !await TryFlushAsync()))
        {
            session?.Abandon();
            client.Close(new Refusal(RefusalReason.ClientGone));
            return State.Over;
        }
        if (session is not null)
        {
            Join(session);
            return State.Over;
        }
        return relay.State switch
        {
            LoginState.Refused => await EndRefusedAsync(relay.Refusal),
            LoginState.Standby => OnFailure(LoginFailure.WrongRole, true, Refusal.WrongRole(_target.Member)),
            LoginState.Broken => OnFailure(LoginFailure.NotPostgres, false, BrokenOff(relay)),
            _ when relay.Tap.IsClientMalformed => Refuse(Refusal.BadMessage),
            // A slow client is no fault of the member.
            _ when relay.IsLate => OnFailure(LoginFailure.TimedOut, false, BrokenOff(relay)),
            _ => OnFailure(LoginFailure.Dropped, true, BrokenOff(relay)),
        };
    }

    private async ValueTask<bool> TryFlushAsync()
    {
        try
        {
            await client.Connection.Output.FlushAsync();
            return true;
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            return false;
        }
    }

    // The server's own words were relayed.
    private async ValueTask<State> EndRefusedAsync(string? code)
    {
        client.Note(Refusal.ByServer(_target!.Member, code));
        if (code is SqlState.CannotConnectNow or SqlState.AdminShutdown or SqlState.CrashShutdown)
        {
            hub.Router.NoteFailure(_target, LoginFailure.NotReady);
        }
        await client.Connection.EndAsync(Settings.Linger);
        return State.Over;
    }

    private State OnFailure(LoginFailure failure, bool isMembersFault, Refusal refusal)
    {
        hub.Events.AttemptFailed(Listener, _target!.Member, failure);
        if (isMembersFault)
        {
            hub.Router.NoteFailure(_target, failure);
        }
        return Refuse(refusal);
    }

    private Refusal BrokenOff(LoginRelay relay) => !relay.Tap.ClientAtBoundary
        ? new Refusal(RefusalReason.MemberFailed)   // in the middle of a message there are no words
        : Refusal.LoginBroke(
            relay.IsLate ? RefusalReason.LoginTimeout : RefusalReason.MemberFailed, _target!.Member,
            isLost: relay.IsServerGone);

    private State Refuse(Refusal refusal)
    {
        _refusal = refusal;
        return State.Refusing;
    }

    private async ValueTask<State> RefuseAsync()
    {
        await client.TurnAwayAsync(_refusal!);
        return State.Over;
    }

    private void Note(LoginFailure failure)
    {
        var target = _target!;
        if (_failures++ == 0)
        {
            _giveUpAt = hub.After(Settings.RetryTime);
        }
        if (!_tried.Contains(target.Member))
        {
            _tried.Add(target.Member);
            _failures = 1;
        }
        hub.Events.AttemptFailed(Listener, target.Member, failure);
        hub.Router.NoteFailure(target, failure);
    }

    private Session NewSession(SessionTap? tap, BackendKey? key) => new(
        hub, client.Listener, _target!, client.Connection, _server!, tap, key, _ticket, client.Place,
        request.IsReplication);

    // Connections, ticket and place are the session's from now on.
    private void Join(Session session)
    {
        (_server, _ticket, client.Place) = (null, null, default);
        hub.Events.Opened(Listener, _target!.Member, hub.Time.GetElapsedTime(_begun));
        session.Start();
    }

    private void LetGo()
    {
        _server?.Abort();
        _ticket?.Dispose();
        (_server, _ticket) = (null, null);
    }
}
