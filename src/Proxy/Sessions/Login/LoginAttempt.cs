using System.Buffers;
using System.Net.Sockets;
using Routing.Proxy.Members;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Startup;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Login;

/// <summary>
/// One attempt to log in at a member, up to the member's first answer. The client sees nothing of it. It runs on the
/// client's loop.
/// </summary>
/// <param name="hub">What all sessions share.</param>
/// <param name="client">The client.</param>
/// <param name="request">What it asks for.</param>
/// <param name="target">The member.</param>
/// <param name="isWatched">The caller watches the client and cancels when it goes away.</param>
internal sealed class LoginAttempt(
    SessionHub hub, NewClient client, LoginRequest request, RouteTarget target, bool isWatched)
{
    private ProxyProtocolVersion Header => client.Listener.Config.ProxyProtocolToMember;

    // What is relayed is the client's own request for TLS; else it is its start-up message, or a whole ClientHello.
    private bool IsTlsRequest => request.IsOpaque && request.Packet.Length == FirstPacket.RequestLength;

    /// <summary>TLS was to pass through on request, and the member does none.</summary>
    public bool IsDeclined { get; private set; }

    /// <summary>Connects, sends the request and waits for the first answer, which stays in the server's pipe.</summary>
    /// <param name="gone">Cancelled when the client goes away.</param>
    /// <returns>The server's connection, or why there is none.</returns>
    /// <exception cref="IOException">The client went away while the server was slow.</exception>
    public async ValueTask<LoginAttemptEnd> MakeAsync(CancellationToken gone)
    {
        var (server, refusal) = await DialAsync(gone);
        if (server is null)
        {
            return new(null, refusal);
        }
        using var watch = new SlowMemberWatch(client.Connection, server, isWatched);
        var patience = new AnswerPatience(hub, target, Header, client.Settings, watch.Begin, () =>
        {
            client.Limit.Pass();
            server.Abort();
        });
        client.Limit.Defer(patience.Expire);
        patience.Begin(client.Limit);
        await using var abort = gone.UnsafeRegister(static state => ((ITransportConnection)state!).Abort(), server);
        LoginAttemptEnd end;
        try
        {
            end = await AskAsync(server);
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            server.Abort();
            end = new(null, client.Limit.HasPassed ? LoginFailure.TimedOut : LoginFailure.Dropped);
        }
        finally
        {
            patience.End(client.Limit);
            client.Limit.Defer(null);
        }
        if (end.Failure == LoginFailure.Dropped && request.IsOpaque && !IsTlsRequest
            && await hub.Signs.ShareAsync(target, Header, client.Settings.AnswerTimeout))
        {
            // It lives, and hangs up on a ClientHello: a server before PostgreSQL 17, or one without TLS.
            await new LoopSwitch(client.Connection);
            end = new(null, LoginFailure.DirectTlsRefused);
        }
        if (await watch.EndAsync())
        {
            end.Server?.Abort();
            throw new IOException("The client went away while the server was slow.");
        }
        return end;
    }

    private async ValueTask<LoginAttemptEnd> DialAsync(CancellationToken gone)
    {
        using var limit = new CancellationTokenSource(client.Settings.ConnectTimeout, hub.Time);
        await using var given = gone.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), limit);
        try
        {
            return new(await Dialer.DialAsync(
                hub.Transport, target, client.Connection, client.Listener.Config.MemberTuning, hub.Time, limit.Token),
                null);
        }
        catch (OperationCanceledException)
        {
            await new LoopSwitch(client.Connection);
            return new(null, LoginFailure.TimedOut);
        }
        catch (SocketException refusal)
        {
            await new LoopSwitch(client.Connection);
            return new(null, refusal.SocketErrorCode switch
            {
                SocketError.ConnectionRefused => LoginFailure.Refused,
                SocketError.TooManyOpenSockets or SocketError.AddressNotAvailable
                    or SocketError.NoBufferSpaceAvailable =>
                    LoginFailure.NoSocket,
                _ => LoginFailure.Unreachable,
            });
        }
    }

    private async ValueTask<LoginAttemptEnd> AskAsync(ITransportConnection server)
    {
        if (Header != ProxyProtocolVersion.None)
        {
            server.Output.Write(ProxyHeader.Write(Header, client.Source, client.Destination));
        }
        if (!request.IsOpaque && client.Listener.MemberTls is { } tls)
        {
            var (encrypted, failure) = await tls.ConnectAsync(server, target.HostName);
            if (failure is not null)
            {
                server.Abort();
                return new(null, failure);
            }
            server = encrypted!;
        }
        server.Output.Write(request.Packet);
        await server.Output.FlushAsync();
        while (true)
        {
            var result = await server.Input.ReadAsync();
            var answer = result.Buffer;
            var opening = request.IsOpaque ? ReadOpaque(answer) : ServerOpening.Read(answer, target.MustBePrimary);
            if (opening.Kind == ServerOpeningKind.Incomplete && !result.IsCompleted)
            {
                server.Input.AdvanceTo(answer.Start, answer.End);
                continue;
            }
            IsDeclined = IsTlsRequest && opening.Kind == ServerOpeningKind.Relay && answer.FirstSpan[0] == 'N';
            server.Input.AdvanceTo(answer.Start);
            var failure = IsDeclined ? LoginFailure.TlsRefused : FailureOf(opening);
            if (failure is not null)
            {
                server.Abort();
                return new(null, failure);
            }
            return new(server, null);
        }
    }

    private LoginFailure? FailureOf(ServerOpening opening) => opening switch
    {
        { Kind: ServerOpeningKind.Relay } => null,
        { Kind: ServerOpeningKind.Incomplete } => LoginFailure.Dropped,
        { Kind: ServerOpeningKind.Standby } => LoginFailure.WrongRole,
        { Kind: ServerOpeningKind.NotPostgres } => LoginFailure.NotPostgres,
        { Error: StartupErrorKind.NotReady } => LoginFailure.NotReady,
        { Error: StartupErrorKind.Full } when !target.MustBePrimary => LoginFailure.Full,
        _ => null,   // for the client: its password, its database, or a leader without a free slot
    };

    // The answer to an SSLRequest or a ClientHello that the client sent through the proxy. Bytes behind the one that
    // answers a request would be clear text ahead of the handshake: an injection.
    private ServerOpening ReadOpaque(in ReadOnlySequence<byte> answer)
    {
        const byte TlsAlert = 0x15;
        if (answer.IsEmpty)
        {
            return new(ServerOpeningKind.Incomplete);
        }
        var first = answer.FirstSpan[0];
        return IsTlsRequest
            ? (char)first switch
            {
                'S' or 'N' when answer.Length == 1 => new(ServerOpeningKind.Relay),
                'E' => new(ServerOpeningKind.Refused, StartupErrorKind.NotReady),
                _ => new(ServerOpeningKind.NotPostgres),
            }
            : new(first is FirstPacket.TlsHandshake or TlsAlert
                ? ServerOpeningKind.Relay
                : ServerOpeningKind.NotPostgres);
    }
}

/// <summary>How an attempt ended.</summary>
/// <param name="Server">
/// The server's connection, with its first answer in its pipe; null when the attempt failed.
/// </param>
/// <param name="Failure">Why it failed; null when it did not.</param>
internal readonly record struct LoginAttemptEnd(ITransportConnection? Server, LoginFailure? Failure);
