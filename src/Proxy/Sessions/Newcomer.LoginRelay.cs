using System.Buffers;
using Routing.Proxy.Members;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions;

internal sealed partial class Newcomer
{
    // From the server's first answer to the joined session.
    private sealed partial class Login
    {
        private bool _isEnding;   // the client's part of the login is over: its pending read is cancelled
        private bool _hasClientEnded;   // its stream has ended, and the server was told; the client may still read

        // Both directions until the server is ready. True: joined. False: over, and what had to be said was said.
        private async ValueTask<bool> RelayLoginAsync(RouteTarget target, ITransportConnection server, IDisposable? ticket, long begun)
        {
            var tap = new SessionTap();
            var filter = new LoginFilter(
                tap, target.MustBePrimary,
                dropChannelBinding: _listener.MemberTls is not null && _listener.Config.MemberTls.HideChannelBinding && !owner._isEncrypted);
            owner._onExpiry = server;
            owner.Deadline = _hub.After(_settings.LoginTimeout);
            var answers = RelayAnswersAsync(server, tap);
            var state = LoginState.Running;
            var isServerGone = false;
            try
            {
                while (state == LoginState.Running)
                {
                    var result = await server.Input.ReadAsync();
                    var buffer = result.Buffer;
                    state = filter.Process(ref buffer, Client.Output);
                    var isStuck = state == LoginState.Running && result.IsCompleted;
                    server.Input.AdvanceTo(buffer.Start, state == LoginState.Running ? result.Buffer.End : buffer.Start);
                    if (state != LoginState.Ready)
                    {
                        await Client.Output.FlushAsync();
                    }
                    if (isStuck)
                    {
                        isServerGone = true;
                        break;
                    }
                }
            }
            catch (Exception error) when (IsOfConnection(error))
            {
                isServerGone = true;   // or the client: the answers tell
            }
            var session = state == LoginState.Ready
                ? new Session(
                    _hub, _listener, target, Client, server, tap, filter.Key, ticket, owner._place,
                    message is { Replication: not ReplicationKind.None })
                : null;
            session?.Announce();   // before the client can know its key
            _isEnding = true;
            Client.Input.CancelPendingRead();
            var isClientGone = await answers;
            await new LoopSwitch(Client);
            var isLate = owner._isExpired;
            owner.Deadline = long.MaxValue;
            owner._onExpiry = null;
            if (isClientGone || (_hasClientEnded && isServerGone))
            {
                session?.Abandon();
                owner.Refuse(RefusalReason.ClientGone);
                return false;
            }
            if (session is not null)
            {
                try
                {
                    await Client.Output.FlushAsync();
                }
                catch (Exception error) when (IsOfConnection(error))
                {
                    session.Abandon();
                    owner.Refuse(RefusalReason.ClientGone);
                    return false;
                }
                Begin(session, target, begun);
                return true;
            }
            await EndLoginAsync(target, state, isServerGone, isLate, filter, tap);
            return false;
        }

        // The client's part of the login. True: the client is gone.
        private async Task<bool> RelayAnswersAsync(ITransportConnection server, SessionTap tap)
        {
            var isWriting = false;
            try
            {
                while (true)
                {
                    isWriting = false;
                    var result = await Client.Input.ReadAsync();
                    if (result.IsCanceled && _isEnding)
                    {
                        Client.Input.AdvanceTo(result.Buffer.Start);
                        return false;
                    }
                    foreach (var segment in result.Buffer)
                    {
                        tap.FromClient(segment.Span);
                        server.Output.Write(segment.Span);
                    }
                    Client.Input.AdvanceTo(result.Buffer.End);
                    isWriting = true;
                    await server.Output.FlushAsync();
                    if (result.IsCompleted)
                    {
                        // Statements may have come with the start-up message: the server answers what it has, and then ends.
                        _hasClientEnded = true;
                        await server.EndSendingAsync();
                        return false;
                    }
                }
            }
            catch (Exception error) when (IsOfConnection(error))
            {
                server.Abort();
                return !isWriting;
            }
        }

        private async ValueTask EndLoginAsync(
            RouteTarget target, LoginState state, bool isServerGone, bool isLate, LoginFilter filter, SessionTap tap)
        {
            switch (state)
            {
                case LoginState.Refused:
                    owner.NoteRefusal(RefusalReason.ServerRefused, $"{target.Member} said {filter.Refusal}");
                    if (filter.Refusal is SqlState.CannotConnectNow or SqlState.AdminShutdown or SqlState.CrashShutdown)
                    {
                        _hub.Router.NoteFailure(target, LoginFailure.NotReady);
                    }
                    await Client.EndAsync(_settings.Linger);
                    return;
                case LoginState.Standby:
                    _hub.Events.AttemptFailed(_listener.Name, target.Member, LoginFailure.WrongRole);
                    _hub.Router.NoteFailure(target, LoginFailure.WrongRole);
                    await owner.RefuseAsync(
                        RefusalReason.WrongRole, SqlState.CannotConnectNow, $"{target.Member} is in recovery: it is not the primary any more",
                        hint: "Connect again: the proxy will go to the new primary.");
                    return;
                case LoginState.Broken:
                    _hub.Events.AttemptFailed(_listener.Name, target.Member, LoginFailure.NotPostgres);
                    break;
                default:
                    if (!tap.IsClientMalformed)
                    {
                        _hub.Events.AttemptFailed(
                            _listener.Name, target.Member, isLate ? LoginFailure.TimedOut : LoginFailure.Dropped);
                    }
                    else
                    {
                        // The server hangs up on it without a word.
                        await owner.RefuseAsync(
                            RefusalReason.BadMessage, SqlState.ProtocolViolation, "the client sent a message with an impossible length");
                        return;
                    }
                    if (!isLate)
                    {
                        _hub.Router.NoteFailure(target, LoginFailure.Dropped);   // a slow client is no fault of the member
                    }
                    break;
            }
            if (!tap.ClientAtBoundary)
            {
                owner.Refuse(RefusalReason.MemberFailed);   // in the middle of a message there are no words
                return;
            }
            await owner.RefuseAsync(
                isLate ? RefusalReason.LoginTimeout : RefusalReason.MemberFailed, SqlState.ConnectionFailure,
                isServerGone ? $"the connection to the server {target.Member} was lost during the login"
                : $"the server {target.Member} broke the protocol during the login", hint: "Connect again.");
        }
    }
}
