using System.Buffers;
using System.Net.Sockets;
using Routing.Proxy.Routes;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions;

internal sealed partial class Newcomer
{
    /// <summary>From the start-up message to the joined session: routes, tries unseen, relays the login.</summary>
    private sealed class Login(Newcomer owner, StartupMessage? message, byte[] packet, bool isOpaque)
    {
        private const int LongestPause = 8;

        private readonly SessionHub _hub = owner._hub;
        private readonly SessionSettings _settings = owner._settings;
        private readonly ListenerModel _listener = owner._listener;
        private readonly List<string> _tried = [];
        private long _giveUpAt;
        private int _failures;
        private (string Code, string Message) _lastFailure;

        private bool _isEnding;   // the client's part of the login is over: its pending read is cancelled

        /// <summary>TLS was to pass through, and the member does none.</summary>
        public bool IsDeclined { get; private set; }

        private ITransportConnection Client => owner._client;

        public async ValueTask RunAsync()
        {
            var begun = _hub.Time.GetTimestamp();
            while (true)
            {
                var choice = _hub.Router.Choose(_listener.Name, _tried);
                if (choice.Target is null)
                {
                    choice = await HoldAsync();
                    if (choice.Target is null)
                    {
                        await RefuseAsync(choice);
                        return;
                    }
                }
                var (target, ticket) = (choice.Target, choice.Ticket);
                ITransportConnection? server = null;
                try
                {
                    (server, var failure) = await AttemptAsync(target);
                    if (failure is null)
                    {
                        _hub.Router.Report(target, AttemptResult.Good);
                        if (isOpaque ? JoinOpaque(target, server!, ticket, begun) : await RelayLoginAsync(target, server!, ticket, begun))
                        {
                            ticket = null;   // the session's now
                            server = null;
                        }
                        return;
                    }
                    if (IsDeclined)
                    {
                        return;
                    }
                    Note(target, failure.Value);
                }
                finally
                {
                    server?.Abort();
                    ticket?.Dispose();
                }
                if (_hub.Time.GetTimestamp() >= _giveUpAt)
                {
                    await owner.RefuseAsync(
                        RefusalReason.MemberFailed, _lastFailure.Code, _lastFailure.Message,
                        $"Tried for {_settings.RetryTime.TotalSeconds:0.#} s: {string.Join(", ", _tried)}.", "Connect again in a moment.");
                    return;
                }
                await PauseAsync();
            }
        }

        // Waits for better times, and notices when the client does not any more.
        private async ValueTask<RouteChoice> HoldAsync()
        {
            var begun = _hub.Time.GetTimestamp();
            using var gone = new CancellationTokenSource();
            var watch = WatchClientAsync(gone);
            RouteChoice choice;
            try
            {
                choice = await _hub.Router.HoldAsync(_listener.Name, _tried, gone.Token);
            }
            catch (OperationCanceledException)
            {
                await new LoopSwitch(Client);
                await watch;
                _hub.Events.Held(_listener.Name, _hub.Time.GetElapsedTime(begun), routed: false);
                throw new IOException("The client went away while it waited.");
            }
            await new LoopSwitch(Client);
            if (!watch.IsCompleted)
            {
                Client.Input.CancelPendingRead();
            }
            await watch;
            await new LoopSwitch(Client);
            _hub.Events.Held(_listener.Name, _hub.Time.GetElapsedTime(begun), choice.Target is not null);
            if (gone.IsCancellationRequested)
            {
                choice.Ticket?.Dispose();
                throw new IOException("The client went away while it waited.");
            }
            return choice;
        }

        private async Task WatchClientAsync(CancellationTokenSource gone)
        {
            try
            {
                var result = await Client.Input.ReadAsync();
                Client.Input.AdvanceTo(result.Buffer.Start, result.Buffer.Start);
                if (result.IsCompleted && !result.IsCanceled)
                {
                    await gone.CancelAsync();
                }
            }
            catch (Exception error) when (IsOfConnection(error))
            {
                await gone.CancelAsync();
            }
        }

        private async ValueTask<(ITransportConnection? Server, AttemptFailure? Failure)> AttemptAsync(RouteTarget target)
        {
            ITransportConnection server;
            using (var limit = new CancellationTokenSource(_settings.ConnectTimeout, _hub.Time))
            {
                try
                {
                    server = await _hub.Transport.ConnectAsync(target.Address, Client, _listener.Settings.MemberTuning, limit.Token);
                }
                catch (OperationCanceledException)
                {
                    await new LoopSwitch(Client);
                    return (null, AttemptFailure.TimedOut);
                }
                catch (SocketException refusal)
                {
                    await new LoopSwitch(Client);
                    return (null, refusal.SocketErrorCode switch
                    {
                        SocketError.ConnectionRefused => AttemptFailure.Refused,
                        SocketError.TooManyOpenSockets or SocketError.AddressNotAvailable or SocketError.NoBufferSpaceAvailable => AttemptFailure.NoSocket,
                        _ => AttemptFailure.Unreachable,
                    });
                }
            }
            owner._isExpired = false;
            owner._onExpiry = server;
            owner.Deadline = _hub.After(_settings.AnswerTimeout);
            try
            {
                return await OpenAsync(target, server);
            }
            catch (Exception error) when (IsOfConnection(error))
            {
                server.Abort();
                return (null, owner._isExpired ? AttemptFailure.TimedOut : AttemptFailure.Dropped);
            }
            finally
            {
                owner.Deadline = long.MaxValue;
                owner._onExpiry = null;
                owner._isExpired = false;
            }
        }

        private async ValueTask<(ITransportConnection? Server, AttemptFailure? Failure)> OpenAsync(RouteTarget target, ITransportConnection server)
        {
            if (_listener.Settings.ProxyProtocolToMember is not ProxyProtocolVersion.None and var version)
            {
                server.Output.Write(ProxyHeader.Write(version == ProxyProtocolVersion.V2, owner._source, owner._destination));
            }
            if (!isOpaque && _listener.MemberTls is { } tls)
            {
                var (encrypted, problem) = await tls.ConnectAsync(server, target.HostName);
                if (problem is { } failure)
                {
                    server.Abort();
                    return (null, failure);
                }
                server = encrypted!;
            }
            server.Output.Write(packet);
            await server.Output.FlushAsync();
            while (true)
            {
                var result = await server.Input.ReadAsync();
                var answer = result.Buffer;
                var opening = isOpaque ? OpaqueOpening(answer) : ServerOpening.Read(answer, target.MustBePrimary);
                if (opening.Kind == ServerOpeningKind.Incomplete && !result.IsCompleted)
                {
                    server.Input.AdvanceTo(answer.Start, answer.End);
                    continue;
                }
                server.Input.AdvanceTo(answer.Start);
                if (isOpaque && opening.Kind == ServerOpeningKind.Relay && answer.FirstSpan[0] == 'N' && packet.Length == FirstPacket.RequestLength)
                {
                    IsDeclined = true;
                    server.Abort();
                    return (null, AttemptFailure.TlsRefused);
                }
                var problem = opening switch
                {
                    { Kind: ServerOpeningKind.Relay } => default(AttemptFailure?),
                    { Kind: ServerOpeningKind.Incomplete } => AttemptFailure.Dropped,
                    { Kind: ServerOpeningKind.Standby } => AttemptFailure.WrongRole,
                    { Kind: ServerOpeningKind.NotPostgres } => AttemptFailure.NotPostgres,
                    { Error: StartupErrorKind.NotReady } => AttemptFailure.NotReady,
                    { Error: StartupErrorKind.Full } when !target.MustBePrimary => AttemptFailure.Full,
                    _ => null,   // for the client: its password, its database, or a leader without a free slot
                };
                if (problem is not null)
                {
                    server.Abort();
                    return (null, problem);
                }
                return (server, null);
            }
        }

        // The answer to an SSLRequest or a ClientHello that the client sent through us. Bytes behind the one that answers a
        // request would be clear text ahead of the handshake: an injection.
        private ServerOpening OpaqueOpening(in ReadOnlySequence<byte> answer)
        {
            const byte TlsAlert = 0x15;
            if (answer.IsEmpty)
            {
                return new(ServerOpeningKind.Incomplete);
            }
            return packet.Length == FirstPacket.RequestLength
                ? (char)answer.FirstSpan[0] switch
                {
                    'S' or 'N' when answer.Length == 1 => new(ServerOpeningKind.Relay),
                    'E' => new(ServerOpeningKind.Refused, StartupErrorKind.NotReady),
                    _ => new(ServerOpeningKind.NotPostgres),
                }
                : new(answer.FirstSpan[0] is FirstPacket.TlsHandshake or TlsAlert ? ServerOpeningKind.Relay : ServerOpeningKind.NotPostgres);
        }

        private bool JoinOpaque(RouteTarget target, ITransportConnection server, IDisposable? ticket, long begun)
        {
            Open(target, server, null, null, ticket, begun, isReplication: false);
            return true;
        }

        // Both directions until the server is ready. True: joined. False: over, and what had to be said was said.
        private async ValueTask<bool> RelayLoginAsync(RouteTarget target, ITransportConnection server, IDisposable? ticket, long begun)
        {
            var tap = new SessionTap();
            var filter = new LoginFilter(
                tap, target.MustBePrimary,
                dropChannelBinding: _listener.MemberTls is not null && _listener.Settings.MemberTls.HideChannelBinding && !owner._isEncrypted);
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
            if (isClientGone)
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
                        server.Abort();   // ends the other direction, too
                        return true;
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
                    _hub.Events.Refused(_listener.Name, RefusalReason.ServerRefused);
                    if (filter.Refusal is SqlState.CannotConnectNow or SqlState.AdminShutdown or SqlState.CrashShutdown)
                    {
                        _hub.Router.Report(target, AttemptResult.NotReady);
                    }
                    await Client.EndAsync(_settings.Linger);
                    return;
                case LoginState.Standby:
                    _hub.Events.AttemptFailed(_listener.Name, target.Member, AttemptFailure.WrongRole);
                    _hub.Router.Report(target, AttemptResult.WrongRole);
                    await owner.RefuseAsync(
                        RefusalReason.WrongRole, SqlState.CannotConnectNow, $"{target.Member} is in recovery: it is not the primary any more",
                        hint: "Connect again: the proxy will go to the new primary.");
                    return;
                case LoginState.Broken:
                    _hub.Events.AttemptFailed(_listener.Name, target.Member, AttemptFailure.NotPostgres);
                    break;
                default:
                    _hub.Events.AttemptFailed(_listener.Name, target.Member, isLate ? AttemptFailure.TimedOut : AttemptFailure.Dropped);
                    if (!isLate)
                    {
                        _hub.Router.Report(target, AttemptResult.ConnectFailed);   // a slow client is no fault of the member
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

        private void Open(
            RouteTarget target, ITransportConnection server, SessionTap? tap, BackendKey? key, IDisposable? ticket, long begun, bool isReplication)
        {
            var session = new Session(_hub, _listener, target, Client, server, tap, key, ticket, owner._place, isReplication);
            session.Announce();
            Begin(session, target, begun);
        }

        private void Begin(Session session, RouteTarget target, long begun)
        {
            owner._place = default;   // the session gives it back
            _hub.Events.Opened(_listener.Name, target.Member, _hub.Time.GetElapsedTime(begun));
            session.Start();
        }

        private void Note(RouteTarget target, AttemptFailure failure)
        {
            if (_failures++ == 0)
            {
                _giveUpAt = _hub.After(_settings.RetryTime);
            }
            if (!_tried.Contains(target.Member))
            {
                _tried.Add(target.Member);
                _failures = 1;
            }
            _hub.Events.AttemptFailed(_listener.Name, target.Member, failure);
            if (failure == AttemptFailure.NoSocket)
            {
                _lastFailure = (SqlState.TooManyConnections, "the proxy has no descriptor or no port left for a connection");
                return;
            }
            _hub.Router.Report(target, failure switch
            {
                AttemptFailure.TimedOut => AttemptResult.TimedOut,
                AttemptFailure.NotReady => AttemptResult.NotReady,
                AttemptFailure.Full => AttemptResult.Full,
                AttemptFailure.WrongRole => AttemptResult.WrongRole,
                AttemptFailure.TlsFailed or AttemptFailure.TlsRefused => AttemptResult.TlsFailed,
                _ => AttemptResult.ConnectFailed,
            });
            _lastFailure = failure switch
            {
                AttemptFailure.NotReady => (SqlState.CannotConnectNow, $"the server {target.Member} is starting or stopping"),
                AttemptFailure.WrongRole => (SqlState.CannotConnectNow, $"the server {target.Member} is in recovery where the primary is wanted"),
                AttemptFailure.Full => (SqlState.TooManyConnections, $"the server {target.Member} has no free connection slot"),
                AttemptFailure.TimedOut => (SqlState.ConnectionFailure, $"the server {target.Member} did not answer in time"),
                AttemptFailure.Refused => (SqlState.ConnectionFailure, $"the server {target.Member} refused the connection"),
                AttemptFailure.TlsRefused => (SqlState.ConnectionFailure, $"the server {target.Member} does not do TLS, which the proxy demands"),
                AttemptFailure.TlsFailed => (SqlState.ConnectionFailure, $"the TLS certificate of the server {target.Member} could not be verified"),
                AttemptFailure.NotPostgres => (SqlState.ConnectionFailure, $"the server {target.Member} does not speak PostgreSQL's protocol"),
                _ => (SqlState.ConnectionFailure, $"the connection to the server {target.Member} was lost"),
            };
        }

        private async ValueTask PauseAsync()
        {
            // Another member is tried at once, the same one again after a pause that grows.
            if (_failures > 1)
            {
                await Task.Delay(_settings.RetryPause * Math.Min(1 << Math.Min(_failures - 2, 8), LongestPause), _hub.Time);
                await new LoopSwitch(Client);
            }
        }

        private ValueTask RefuseAsync(in RouteChoice choice)
        {
            var (reason, code) = choice.Reason switch
            {
                "queue_full" => (RefusalReason.QueueFull, SqlState.TooManyConnections),
                "draining" => (RefusalReason.Draining, SqlState.CannotConnectNow),
                _ => (RefusalReason.NoTarget, SqlState.CannotConnectNow),
            };
            return owner.RefuseAsync(reason, code, choice.Sentence);
        }
    }
}
