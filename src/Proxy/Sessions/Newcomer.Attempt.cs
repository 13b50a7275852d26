using System.Buffers;
using System.Net.Sockets;
using Routing.Proxy.Members;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions;

internal sealed partial class Newcomer
{
    // One attempt at a member, of which the client sees nothing.
    private sealed partial class Login
    {
        private async ValueTask<(ITransportConnection? Server, LoginFailure? Failure)> AttemptAsync(RouteTarget target, CancellationToken gone)
        {
            ITransportConnection server;
            using (var limit = new CancellationTokenSource(_settings.ConnectTimeout, _hub.Time))
            {
                await using var given = gone.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), limit);
                try
                {
                    server = await Dialer.ConnectAsync(
                        _hub.Transport, target, Client, _listener.Config.MemberTuning, _hub.Time, limit.Token);
                }
                catch (OperationCanceledException)
                {
                    await new LoopSwitch(Client);
                    return (null, LoginFailure.TimedOut);
                }
                catch (SocketException refusal)
                {
                    await new LoopSwitch(Client);
                    return (null, refusal.SocketErrorCode switch
                    {
                        SocketError.ConnectionRefused => LoginFailure.Refused,
                        SocketError.TooManyOpenSockets or SocketError.AddressNotAvailable or SocketError.NoBufferSpaceAvailable => LoginFailure.NoSocket,
                        _ => LoginFailure.Unreachable,
                    });
                }
            }
            owner._isExpired = false;
            using var watch = new SlowWatch(this, server, isWatched: _failures > 0);
            var patience = new AnswerPatience(
                _hub, target, _listener.Config.ProxyProtocolToMember, _settings, watch.Begin,
                () =>
                {
                    Volatile.Write(ref owner._isExpired, true);
                    server.Abort();
                });
            Volatile.Write(ref owner._patience, patience);
            patience.Begin(owner);
            await using var abort = gone.UnsafeRegister(static state => ((ITransportConnection)state!).Abort(), server);
            (ITransportConnection? Server, LoginFailure? Failure) end;
            try
            {
                end = await OpenAsync(target, server);
            }
            catch (Exception error) when (IsOfConnection(error))
            {
                server.Abort();
                end = (null, owner._isExpired ? LoginFailure.TimedOut : LoginFailure.Dropped);
            }
            finally
            {
                patience.End(owner);
                Volatile.Write(ref owner._patience, null);
                owner._isExpired = false;
            }
            if (end.Failure == LoginFailure.Dropped && isOpaque && packet.Length != FirstPacket.RequestLength
                && await _hub.Signs.ShareAsync(target, _listener.Config.ProxyProtocolToMember, _settings.AnswerTimeout))
            {
                // It lives, and hangs up on a ClientHello: a server before PostgreSQL 17, or one without TLS.
                await new LoopSwitch(Client);
                end = (null, LoginFailure.DirectTlsRefused);
            }
            if (await watch.EndAsync())
            {
                end.Server?.Abort();
                throw new IOException("The client went away while the server was slow.");
            }
            return end;
        }

        private async ValueTask<(ITransportConnection? Server, LoginFailure? Failure)> OpenAsync(RouteTarget target, ITransportConnection server)
        {
            if (_listener.Config.ProxyProtocolToMember is not ProxyProtocolVersion.None and var version)
            {
                server.Output.Write(ProxyHeader.Write(version, owner._source, owner._destination));
            }
            if (!isOpaque && _listener.MemberTls is { } tls)
            {
                var (encrypted, failure) = await tls.ConnectAsync(server, target.HostName);
                if (failure is not null)
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
                    return (null, LoginFailure.TlsRefused);
                }
                LoginFailure? problem = opening switch
                {
                    { Kind: ServerOpeningKind.Relay } => null,
                    { Kind: ServerOpeningKind.Incomplete } => LoginFailure.Dropped,
                    { Kind: ServerOpeningKind.Standby } => LoginFailure.WrongRole,
                    { Kind: ServerOpeningKind.NotPostgres } => LoginFailure.NotPostgres,
                    { Error: StartupErrorKind.NotReady } => LoginFailure.NotReady,
                    { Error: StartupErrorKind.Full } when !target.MustBePrimary => LoginFailure.Full,
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
    }
}
