using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using Microsoft.Extensions.Logging;
using Routing.Proxy.Configuration;
using Routing.Proxy.Tls;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions;

/// <summary>A client from its first byte until it is joined to a server, or turned away. All of it is forgotten then.</summary>
internal sealed partial class Newcomer : Expiring
{
    private readonly SessionHub _hub;
    private readonly ListenerModel _listener;
    private readonly SessionSettings _settings;
    private readonly long _begun;
    private ITransportConnection _client;
    private ITransportConnection? _onExpiry;   // what is aborted when the time is over; null: the client
    private AnswerPatience? _patience;         // while a member's first answer is waited for
    private IPEndPoint? _source;               // by the PROXY header, else by the socket
    private EndPoint? _destination;
    private SessionPlace _place;
    private bool _isPending;
    private bool _isExpired;
    private bool _isEncrypted;
    private bool _isOpaque;   // TLS passes through: the client has no answer to its wish yet, and can't read words

    public Newcomer(SessionHub hub, ListenerModel listener, ITransportConnection client)
    {
        (_hub, _listener, _settings) = (hub, listener, hub.Settings);
        _client = client;
        _begun = hub.Time.GetTimestamp();
        client.Tune(listener.Config.ClientTuning);
    }

    private string Name => _listener.Name;

    /// <summary>Leads it through. On the client's loop; never throws.</summary>
    public async Task RunAsync()
    {
        _hub.Events.Accepted(Name);
        if (!_hub.Pending.TryTake(_settings.MaximumPending))
        {
            Refuse(RefusalReason.TooManyPending);
            return;
        }
        _isPending = true;
        Deadline = _hub.After(_settings.StartupTimeout);
        _hub.Deadlines.Add(this);
        try
        {
            await StartUpAsync();
        }
        catch (AuthenticationException problem)
        {
            Refuse(RefusalReason.TlsFailed, TlsProblem.Of(problem));
        }
        catch (Exception error) when (IsOfConnection(error))
        {
            Refuse(_isExpired ? RefusalReason.StartupTimeout : RefusalReason.ClientGone);
        }
        catch (Exception error)
        {
            LogFault(_hub.Logger, error);
            Refuse(RefusalReason.ClientGone);
        }
        finally
        {
            EndPending();
            _hub.Deadlines.Remove(this);
            _hub.Limits.Release(_place);
        }
    }

    /// <inheritdoc/>
    internal override void Expire()
    {
        Deadline = long.MaxValue;
        if (Volatile.Read(ref _patience) is { } patience)
        {
            patience.Expire(this);
            return;
        }
        Volatile.Write(ref _isExpired, true);
        (Volatile.Read(ref _onExpiry) ?? _client).Abort();
    }

    private static bool IsOfConnection(Exception error) =>
        error is IOException or SocketException or ObjectDisposedException or InvalidOperationException or OperationCanceledException;

    private async ValueTask StartUpAsync()
    {
        _source = Plain(_client.RemoteEndPoint as IPEndPoint);
        _destination = _client.LocalEndPoint;
        if (!_listener.Config.ProxyProtocolFrom.IsEmpty && !await ReadProxyHeaderAsync())
        {
            return;
        }
        var askedTls = false;
        var askedGss = false;
        while (true)
        {
            var (packet, bytes, isMore) = await ReadPacketAsync();
            switch (packet.Kind)
            {
                case FirstPacketKind.Incomplete:
                    Refuse(bytes.Length == 0 ? RefusalReason.Probe : RefusalReason.ClientGone);
                    return;
                case FirstPacketKind.SslRequest when askedTls || _isEncrypted:
                case FirstPacketKind.GssEncRequest when askedGss || _isEncrypted:
                    await RefuseAsync(RefusalReason.Unsupported, SqlState.FeatureNotSupported, "encryption was asked for twice");
                    return;
                case FirstPacketKind.GssEncRequest:
                    askedGss = true;
                    await AnswerAsync((byte)'N');
                    continue;
                case FirstPacketKind.SslRequest:
                    askedTls = true;
                    if (_listener.Config.Tls.Mode == ClientTlsMode.PassThrough)
                    {
                        if (!await RouteAsync(null, bytes, isOpaque: true))
                        {
                            return;
                        }
                        await AnswerAsync((byte)'N');   // the member does no TLS: the client may go on in clear text
                        continue;
                    }
                    if (_listener.ClientTls is null)
                    {
                        await AnswerAsync((byte)'N');
                        continue;
                    }
                    if (isMore)
                    {
                        Refuse(RefusalReason.Injected);   // clear text ahead of the handshake
                        return;
                    }
                    await AnswerAsync((byte)'S');
                    await EncryptAsync(isDirect: false);
                    continue;
                case FirstPacketKind.DirectTls when !_isEncrypted && !askedTls && _listener.Config.Tls.Mode == ClientTlsMode.PassThrough:
                    await RouteAsync(null, await ReadClientHelloAsync(), isOpaque: true);
                    return;
                case FirstPacketKind.DirectTls when !_isEncrypted && !askedTls && _listener.ClientTls is not null:
                    await EncryptAsync(isDirect: true);
                    continue;
                case FirstPacketKind.CancelRequest:
                    EndPending();
                    Deadline = long.MaxValue;   // it has limits of its own
                    await new CancelRelay(_hub, _listener, _begun).RunAsync(_client, bytes);
                    return;
                case FirstPacketKind.Startup:
                    await StartAsync(bytes);
                    return;
                case FirstPacketKind.UnsupportedProtocol:
                    await RefuseAsync(
                        RefusalReason.Unsupported, SqlState.FeatureNotSupported,
                        $"unsupported frontend protocol {packet.Code >> 16}.{packet.Code & 0xFFFF}: the proxy serves protocol 3");
                    return;
                default:
                    Refuse(RefusalReason.NotPostgres);
                    return;
            }
        }
    }

    private async ValueTask<bool> ReadProxyHeaderAsync()
    {
        if (_source is not { } peer || !_listener.Config.ProxyProtocolFrom.Any(network => network.Contains(peer.Address)))
        {
            Refuse(RefusalReason.ProxyHeader);
            return false;
        }
        while (true)
        {
            var result = await _client.Input.ReadAsync();
            var header = ProxyHeader.Read(result.Buffer);
            if (header.Status == ProxyHeaderStatus.Incomplete && !result.IsCompleted)
            {
                _client.Input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
                continue;
            }
            if (header.Status is ProxyHeaderStatus.Proxied or ProxyHeaderStatus.Local)
            {
                _client.Input.AdvanceTo(result.Buffer.GetPosition(header.Length));
                (_source, _destination) = (header.Source ?? _source, header.Destination ?? _destination);
                return true;
            }
            _client.Input.AdvanceTo(result.Buffer.End);
            Refuse(result.Buffer.IsEmpty ? RefusalReason.Probe : RefusalReason.ProxyHeader);
            return false;
        }
    }

    // A socket of both families shows IPv4 addresses in their IPv6 form.
    private static IPEndPoint? Plain(IPEndPoint? point) =>
        point is { Address.IsIPv4MappedToIPv6: true } ? new IPEndPoint(point.Address.MapToIPv4(), point.Port) : point;

    // A whole packet, taken from the pipe except for a ClientHello; or an incomplete one when the client has ended.
    private async ValueTask<(FirstPacket Packet, byte[] Bytes, bool IsMore)> ReadPacketAsync()
    {
        while (true)
        {
            var result = await _client.Input.ReadAsync();
            var buffer = result.Buffer;
            var packet = FirstPacket.Read(buffer);
            if (packet.Kind == FirstPacketKind.Incomplete && !result.IsCompleted)
            {
                _client.Input.AdvanceTo(buffer.Start, buffer.End);
                continue;
            }
            if (packet.Kind == FirstPacketKind.DirectTls)
            {
                _client.Input.AdvanceTo(buffer.Start);
                return (packet, [], false);
            }
            var length = packet.Kind == FirstPacketKind.Incomplete ? buffer.Length : Math.Min(packet.Length, buffer.Length);
            var bytes = buffer.Slice(0, length).ToArray();
            var isMore = buffer.Length > length;
            _client.Input.AdvanceTo(buffer.GetPosition(length));
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
            var result = await _client.Input.ReadAsync();
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
                _client.Input.AdvanceTo(buffer.End);
                return hello;
            }
            _client.Input.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
            {
                throw new IOException("The client went away in the middle of its TLS handshake.");
            }
        }
    }

    private async ValueTask AnswerAsync(byte answer)
    {
        _client.Output.Write([answer]);
        await _client.Output.FlushAsync();
    }

    private async ValueTask EncryptAsync(bool isDirect)
    {
        var startup = Deadline;
        Deadline = Math.Min(startup, _hub.After(_settings.TlsTimeout));
        try
        {
            _client = await _listener.ClientTls!.AcceptAsync(_client, isDirect);
        }
        catch (Exception error) when (IsOfConnection(error))
        {
            throw new AuthenticationException(_isExpired ? "the handshake took too long" : error.Message, error);
        }
        Deadline = startup;
        _isEncrypted = true;
    }

    private async ValueTask StartAsync(byte[] packet)
    {
        if (!StartupMessage.TryRead(packet, out var message, out var fault))
        {
            await RefuseAsync(RefusalReason.BadStartup, fault!.Code, fault.Sentence);
            return;
        }
        if (_listener.Config.Tls is { Mode: ClientTlsMode.Terminate, Required: true } && !_isEncrypted)
        {
            await RefuseAsync(
                RefusalReason.TlsRequired, SqlState.InvalidAuthorization, "this port of the proxy demands TLS",
                hint: "Connect with sslmode=require or stronger.");
            return;
        }
        var kind = message!.Replication;
        if ((kind == ReplicationKind.Physical && !_listener.Config.Replication.HasFlag(ReplicationAccess.Physical))
            || (kind == ReplicationKind.Logical && !_listener.Config.Replication.HasFlag(ReplicationAccess.Logical)))
        {
            await RefuseAsync(
                RefusalReason.Replication, SqlState.FeatureNotSupported,
                $"{(kind == ReplicationKind.Physical ? "physical" : "logical")} replication is not served on the listener \"{Name}\"",
                hint: "Use the port for writes, or allow it there with the setting \"replication\" of the listener.");
            return;
        }
        if (_listener.Config.AddClientAddress && _source is { } source)
        {
            packet = StartupMessage.WithClientAddress(packet, source.ToString());
        }
        await RouteAsync(message, packet, isOpaque: false);
    }

    // True: the member declined TLS, and the client is to be answered and read on.
    private async ValueTask<bool> RouteAsync(StartupMessage? message, byte[] packet, bool isOpaque)
    {
        EndPending();
        var startup = Deadline;
        Deadline = long.MaxValue;
        _isOpaque = isOpaque;
        if (_hub.IsDraining)
        {
            await RefuseAsync(
                RefusalReason.Draining, SqlState.CannotConnectNow, "the proxy is shutting down", hint: "Connect again in a moment.");
            return false;
        }
        var isReplication = message is { Replication: not ReplicationKind.None };
        if (!isReplication && _hub.Limits.TryTake(_settings, _listener, message?.User, out _place) is { } limit)
        {
            await RefuseAsync(limit, SqlState.TooManyConnections, limit switch
            {
                RefusalReason.TooManyOfUser => $"too many sessions of user \"{message!.User}\" in the proxy (max_sessions_per_user is {_settings.MaximumSessionsPerUser})",
                RefusalReason.TooManyOnListener => $"too many sessions on the listener \"{Name}\" of the proxy (max_sessions is {_listener.Config.MaximumSessions})",
                _ => $"too many sessions in the proxy (max_sessions is {_settings.MaximumSessions})",
            }, hint: "Close sessions that are not needed, or raise the limit.");
            return false;
        }
        _hub.Starting.Add(1);
        try
        {
            var login = new Login(this, message, packet, isOpaque);
            await login.RunAsync();
            if (login.IsDeclined)
            {
                _hub.Limits.Release(_place);
                _place = default;
                _isOpaque = false;
                Deadline = startup;
            }
            return login.IsDeclined;
        }
        finally
        {
            _hub.Starting.Add(-1);
        }
    }

    private void EndPending()
    {
        if (_isPending)
        {
            _isPending = false;
            _hub.Pending.Release();
        }
    }

    private void Refuse(RefusalReason reason, string? sentence = null)
    {
        NoteRefusal(reason, sentence);
        _client.Abort();
    }

    private void NoteRefusal(RefusalReason reason, string? sentence)
    {
        _hub.Events.Refused(Name, reason);
        _hub.Refusals.Note(Name, reason, _source, sentence);
    }

    // With words, where the client can read words: not ahead of its choice of encryption.
    private async ValueTask RefuseAsync(RefusalReason reason, string code, string message, string? detail = null, string? hint = null)
    {
        if (_isOpaque)
        {
            Refuse(reason, message);   // ahead of the handshake there are no words that a client would believe
            return;
        }
        NoteRefusal(reason, message);
        Deadline = long.MaxValue;
        ErrorResponse.WriteFatal(_client.Output, code, message, detail, hint);
        await _client.EndAsync(_settings.Linger);
    }

    [LoggerMessage(EventId = 6011, Level = LogLevel.Error, Message = "A client could not be led in: a fault of this program")]
    private static partial void LogFault(ILogger logger, Exception error);
}
