using System.Buffers;
using System.Security.Authentication;
using Routing.Proxy.Configuration;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Refusals;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Startup;

/// <summary>The start-up of one client: from its first byte to what it asks for.</summary>
/// <remarks>
/// A machine of four states. A PROXY header, where one is due, comes first; then packets are read. A wish for
/// encryption leads to a handshake and back to packets, or stays there when it is declined; every other packet ends the
/// start-up with an outcome. A member that declines TLS that was to pass through leads back as well:
/// <see cref="DeclineTlsAsync"/>, and then <see cref="RunAsync"/> again.
/// </remarks>
internal sealed class ClientStartup(SessionHub hub, NewClient client)
{
    private State _state = client.Listener.Config.ProxyProtocolFrom.IsEmpty ? State.Packet : State.ProxyHeader;
    private Encryptions _asked;

    private enum State
    {
        /// <summary>A PROXY header is awaited.</summary>
        ProxyHeader,

        /// <summary>A packet is awaited.</summary>
        Packet,

        /// <summary>A TLS handshake is awaited that an SSLRequest has announced.</summary>
        Handshake,

        /// <summary>A TLS handshake has begun without a request.</summary>
        DirectHandshake,
    }

    [Flags]
    private enum Encryptions
    {
        None = 0,
        Gss = 1,
        Tls = 2,
    }

    private ListenerConfig Config => client.Listener.Config;

    private ITransportConnection Connection => client.Connection;

    /// <summary>Reads on until it is clear what the client asks for. On the client's loop.</summary>
    /// <exception cref="AuthenticationException">A TLS handshake failed.</exception>
    /// <exception cref="IOException">The connection ended or broke.</exception>
    public async ValueTask<StartupOutcome> RunAsync()
    {
        while (true)
        {
            var outcome = _state switch
            {
                State.ProxyHeader => await ReadProxyHeaderAsync(),
                State.Packet => await ReadPacketAsync(),
                _ => await EncryptAsync(isDirect: _state == State.DirectHandshake),
            };
            if (outcome is not null)
            {
                return outcome;
            }
        }
    }

    /// <summary>Tells the client that there is no TLS: it may go on in clear text.</summary>
    public ValueTask DeclineTlsAsync() => AnswerAsync((byte)'N');

    private static StartupOutcome.Refused Refused(RefusalReason reason) => new(new Refusal(reason));

    private async ValueTask<StartupOutcome?> ReadProxyHeaderAsync()
    {
        if (client.Source is not { } peer || !Config.ProxyProtocolFrom.Any(network => network.Contains(peer.Address)))
        {
            return Refused(RefusalReason.ProxyHeader);
        }
        while (true)
        {
            var result = await Connection.Input.ReadAsync();
            var header = ProxyHeader.Read(result.Buffer);
            if (header.Status == ProxyHeaderStatus.Incomplete && !result.IsCompleted)
            {
                Connection.Input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
                continue;
            }
            if (header.Status is ProxyHeaderStatus.Proxied or ProxyHeaderStatus.Local)
            {
                Connection.Input.AdvanceTo(result.Buffer.GetPosition(header.Length));
                client.Source = header.Source ?? client.Source;
                client.Destination = header.Destination ?? client.Destination;
                _state = State.Packet;
                return null;
            }
            Connection.Input.AdvanceTo(result.Buffer.End);
            return Refused(result.Buffer.IsEmpty ? RefusalReason.Probe : RefusalReason.ProxyHeader);
        }
    }

    private async ValueTask<StartupOutcome?> ReadPacketAsync()
    {
        var (packet, bytes, isMore) = await NextPacketAsync();
        switch (packet.Kind)
        {
            case FirstPacketKind.Incomplete:
                return Refused(bytes.Length == 0 ? RefusalReason.Probe : RefusalReason.ClientGone);
            case FirstPacketKind.SslRequest when _asked.HasFlag(Encryptions.Tls) || client.IsEncrypted:
            case FirstPacketKind.GssEncRequest when _asked.HasFlag(Encryptions.Gss) || client.IsEncrypted:
                return new StartupOutcome.Refused(Refusal.EncryptionAskedTwice);
            case FirstPacketKind.GssEncRequest:
                _asked |= Encryptions.Gss;
                await AnswerAsync((byte)'N');
                return null;
            case FirstPacketKind.SslRequest:
                _asked |= Encryptions.Tls;
                return await OnTlsWishAsync(bytes, isMore);
            case FirstPacketKind.DirectTls when MayBeginTls && Config.Tls.Mode == ClientTlsMode.PassThrough:
                return new StartupOutcome.Login(new LoginRequest(null, await ReadClientHelloAsync()));
            case FirstPacketKind.DirectTls when MayBeginTls && client.Listener.ClientTls is not null:
                _state = State.DirectHandshake;
                return null;
            case FirstPacketKind.CancelRequest:
                return new StartupOutcome.Cancel(bytes);
            case FirstPacketKind.Startup:
                return OnStartup(bytes);
            case FirstPacketKind.UnsupportedProtocol:
                return new StartupOutcome.Refused(Refusal.UnsupportedProtocol(packet.Code));
            default:
                return Refused(RefusalReason.NotPostgres);
        }
    }

    private bool MayBeginTls => !client.IsEncrypted && !_asked.HasFlag(Encryptions.Tls);

    private async ValueTask<StartupOutcome?> OnTlsWishAsync(byte[] request, bool isMore)
    {
        if (Config.Tls.Mode == ClientTlsMode.PassThrough)
        {
            return new StartupOutcome.Login(new LoginRequest(null, request));
        }
        if (client.Listener.ClientTls is null)
        {
            await AnswerAsync((byte)'N');
            return null;
        }
        if (isMore)
        {
            return Refused(RefusalReason.Injected);   // clear text ahead of the handshake
        }
        await AnswerAsync((byte)'S');
        _state = State.Handshake;
        return null;
    }

    private StartupOutcome OnStartup(byte[] packet)
    {
        if (!StartupMessage.TryRead(packet, out var message, out var fault))
        {
            return new StartupOutcome.Refused(Refusal.BadStartup(fault!));
        }
        if (Config.Tls is { Mode: ClientTlsMode.Terminate, Required: true } && !client.IsEncrypted)
        {
            return new StartupOutcome.Refused(Refusal.TlsRequired);
        }
        var kind = message!.Replication;
        if ((kind == ReplicationKind.Physical && !Config.Replication.HasFlag(ReplicationAccess.Physical))
            || (kind == ReplicationKind.Logical && !Config.Replication.HasFlag(ReplicationAccess.Logical)))
        {
            return new StartupOutcome.Refused(Refusal.Replication(kind, Config.Name));
        }
        if (Config.AddClientAddress && client.Source is { } source)
        {
            packet = StartupMessage.WithClientAddress(packet, source.ToString());
        }
        return new StartupOutcome.Login(new LoginRequest(message, packet));
    }

    private async ValueTask<StartupOutcome?> EncryptAsync(bool isDirect)
    {
        var startup = client.Limit.Deadline;
        client.Limit.Deadline = Math.Min(startup, hub.After(client.Settings.TlsTimeout));
        try
        {
            client.Connection = await client.Listener.ClientTls!.AcceptAsync(Connection, isDirect);
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            throw new AuthenticationException(
                client.Limit.HasPassed ? "the handshake took too long" : error.Message, error);
        }
        client.Limit.Deadline = startup;
        client.IsEncrypted = true;
        _state = State.Packet;
        return null;
    }

    // A whole packet, taken from the pipe except for a ClientHello; or an incomplete one when the client has ended.
    private async ValueTask<(FirstPacket Packet, byte[] Bytes, bool IsMore)> NextPacketAsync()
    {
        while (true)
        {
            var result = await Connection.Input.ReadAsync();
            var buffer = result.Buffer;
            var packet = FirstPacket.Read(buffer);
            if (packet.Kind == FirstPacketKind.Incomplete && !result.IsCompleted)
            {
                Connection.Input.AdvanceTo(buffer.Start, buffer.End);
                continue;
            }
            if (packet.Kind == FirstPacketKind.DirectTls)
            {
                Connection.Input.AdvanceTo(buffer.Start);
                return (packet, [], false);
            }
            var length =
                packet.Kind == FirstPacketKind.Incomplete ? buffer.Length : Math.Min(packet.Length, buffer.Length);
            var bytes = buffer.Slice(0, length).ToArray();
            var isMore = buffer.Length > length;
            Connection.Input.AdvanceTo(buffer.GetPosition(length));
            return (packet, bytes, isMore);
        }
    }

    // The whole first record, so that the member answers it: it is sent again when an attempt fails.
    private async ValueTask<byte[]> ReadClientHelloAsync()
    {
        const int HeaderLength = 5;
        const int LongestRecord = 16 * 1024;
        while (true)
        {
            var result = await Connection.Input.ReadAsync();
            var buffer = result.Buffer;
            var length = HeaderLength;
            if (buffer.Length >= HeaderLength)
            {
                var header = buffer.Slice(0, HeaderLength).ToArray();
                length += (header[3] << 8) | header[4];
            }
            if (length > LongestRecord)
            {
                throw new IOException("The client's TLS record is too long.");
            }
            if (buffer.Length >= length && length > HeaderLength)
            {
                var hello = buffer.ToArray();
                Connection.Input.AdvanceTo(buffer.End);
                return hello;
            }
            Connection.Input.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
            {
                throw new IOException("The client went away in the middle of its TLS handshake.");
            }
        }
    }

    private async ValueTask AnswerAsync(byte answer)
    {
        Connection.Output.Write([answer]);
        await Connection.Output.FlushAsync();
    }
}
