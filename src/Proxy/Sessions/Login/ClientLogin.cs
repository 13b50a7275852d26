using Routing.Proxy.Configuration;
using Routing.Proxy.Members;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Refusals;
using Routing.Proxy.Sessions.Secrets;
using Routing.Proxy.Sessions.Startup;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Login;

/// <summary>The login of one client: from what it asks for to the joined session. On the client's loop.</summary>
/// <remarks>
/// A machine: it searches for a server; it relays the login of the member that has answered; and it ends with a
/// session, a refusal, or a member's no to TLS that was to pass through.
/// </remarks>
internal sealed class ClientLogin(SessionHub hub, NewClient client, LoginRequest request)
{
    private readonly long _begun = hub.Time.GetTimestamp();
    private readonly ServerSearch _search = new(hub, client, request);
    private State _state = State.Searching;
    private Refusal? _refusal;
    private LoginExchange? _exchange;   // of a session that may move when the key behind it is found

    private enum State
    {
        /// <summary>A server is searched for.</summary>
        Searching,

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

    private RouteTarget Target => _search.Target!;

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
                    State.Searching => await SearchAsync(),
                    State.Relaying => await RelayAsync(),
                    _ => await RefuseAsync(),
                };
            }
        }
        finally
        {
            hub.Logins.End(this);
            _search.LetGo();
            (_exchange as PasswordExchange)?.Secret.Dispose();   // the session has not got it
        }
        return _state != State.Declined;
    }

    private async ValueTask<State> SearchAsync()
    {
        switch (await _search.RunAsync())
        {
            case SearchEnd.Declined:
                return State.Declined;
            case SearchEnd.Refused:
                return Refuse(_search.Refusal!);
        }
        if (!request.IsOpaque)
        {
            return MayBegin() ? State.Relaying : State.Searching;
        }
        Join(NewSession(null, null, null));
        return State.Over;
    }

    // A leader that is about to hand over gets no new session, and waits for those that it was to get before. Counted
    // ahead of the look: either this sees what the leader has announced, or the leader is told of this.
    private bool MayBegin()
    {
        if (request.IsReplication)
        {
            return true;
        }
        hub.Logins.Begin(this, Target.Member, hub.After(Settings.AnswerTimeout));
        if (hub.Router.HoldOf(Listener, Target.Member) is null)
        {
            return true;
        }
        hub.Logins.End(this);
        _search.BeginAgain();
        return false;
    }

    private async ValueTask<State> RelayAsync()
    {
        var observer = MayMove && Settings.AuthQuery is not null ? new LoginObserver(hub.Passwords) : null;
        var relay = new LoginRelay(client, _search.Server!, Target.MustBePrimary, MayMove, observer);
        await relay.RelayAsync(hub.After(Settings.LoginTimeout));
        _exchange = observer?.Take();
        var session = relay.State == LoginState.Ready ? NewSession(relay.Tap, relay.Key, Keep(relay)) : null;
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
            // Nobody may notify sessions that have lost their server and do not listen again yet.
            if (hub.Listening.AreAny)
            {
                await hub.Listening.PassAsync(client.Listener.Config.HoldTime, hub.Time);
                await new LoopSwitch(client.Connection);
            }
            Join(session);
            return State.Over;
        }
        return relay.State switch
        {
            LoginState.Refused => await EndRefusedAsync(relay.Refusal),
            LoginState.Standby => OnFailure(LoginFailure.WrongRole, true, Refusal.WrongRole(Target.Member)),
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
        client.Note(Refusal.ByServer(Target.Member, code));
        if (code is SqlState.CannotConnectNow or SqlState.AdminShutdown or SqlState.CrashShutdown)
        {
            hub.Router.NoteFailure(Target, LoginFailure.NotReady);
        }
        await client.Connection.EndAsync(Settings.Linger);
        return State.Over;
    }

    private State OnFailure(LoginFailure failure, bool isMembersFault, Refusal refusal)
    {
        hub.Events.AttemptFailed(Listener, Target.Member, failure);
        if (isMembersFault)
        {
            hub.Router.NoteFailure(Target, failure);
        }
        return Refuse(refusal);
    }

    private Refusal BrokenOff(LoginRelay relay) => !relay.Tap.ClientAtBoundary
        ? new Refusal(RefusalReason.MemberFailed)   // in the middle of a message there are no words
        : Refusal.LoginBroke(
            relay.IsLate ? RefusalReason.LoginTimeout : RefusalReason.MemberFailed, Target.Member,
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

    private bool MayMove => client.Listener.Config.Move != MoveMode.Off && !request.IsReplication;

    // What another login takes, where the server has asked for nothing that the proxy does not have.
    private RepeatableLogin? Keep(LoginRelay relay)
    {
        if (!MayMove || (relay.HasAskedClient && _exchange is null))
        {
            return null;
        }
        relay.Tap.Follow(
            client.Listener.Config.Move == MoveMode.AssumeClean, client.Listener.Config.Move == MoveMode.Carry,
            client.Listener.Config.Replay == ReplayMode.FirstStatement);
        if (!relay.HasAskedClient)
        {
            relay.Tap.Arm();
        }
        return new RepeatableLogin(
            request.Packet, hub.Parameters.Share(relay.Parameters), client.Source, client.Destination);
    }

    private Session NewSession(SessionTap? tap, BackendKey? key, RepeatableLogin? again) => new(
        hub, client.Listener, Target, client.Connection, _search.Server!, tap, key, _search.Ticket, client.Place,
        request.IsReplication, again);

    // Connections, ticket and place are the session's from now on.
    private void Join(Session session)
    {
        (_search.Server, _search.Ticket, client.Place) = (null, null, default);
        hub.Events.Opened(Listener, Target.Member, hub.Time.GetElapsedTime(_begun));
        session.Start();
        if (_exchange is { } exchange)
        {
            _exchange = null;
            _ = session.LearnKeyAsync(request.Message!.User, exchange);   // never throws
        }
    }
}
