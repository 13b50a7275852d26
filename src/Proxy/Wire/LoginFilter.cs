using System.Buffers;

namespace Routing.Proxy.Wire;

/// <summary>How far a login has come.</summary>
internal enum LoginState
{
    /// <summary>The login goes on.</summary>
    Running,

    /// <summary>ReadyForQuery has been written for the client: the session can be joined.</summary>
    Ready,

    /// <summary>The server's refusal has been written for the client; the server closes.</summary>
    Refused,

    /// <summary>
    /// The server is in recovery, where the primary was wanted; nothing of its welcome has been written.
    /// </summary>
    Standby,

    /// <summary>The server broke the protocol.</summary>
    Broken,
}

/// <summary>
/// Relays a server's part of a login message by message: reads its key and its role, and rewrites what must not pass.
/// </summary>
/// <param name="tap">Sees all that is written for the client.</param>
/// <param name="mustBePrimary">Whether a server in recovery is the wrong one.</param>
/// <param name="dropChannelBinding">Whether <c>SCRAM-SHA-256-PLUS</c> is taken out of the server's offer.</param>
/// <param name="keepsParameters">Whether the parameters that the server tells are kept.</param>
/// <param name="asked">Told what the server asks the client for, its body.</param>
internal sealed class LoginFilter(
    SessionTap tap, bool mustBePrimary, bool dropChannelBinding, bool keepsParameters = false,
    LoginFilter.Question? asked = null)
{
    private readonly ArrayBufferWriter<byte>? _parameters = keepsParameters ? new ArrayBufferWriter<byte>() : null;
    private long _raw;   // bytes left of a message that passes unread

    /// <summary>The body of an authentication message other than the one that ends it.</summary>
    public delegate void Question(ReadOnlySpan<byte> body);

    /// <summary>The server has asked the client for something: a password, a token.</summary>
    public bool HasAskedClient { get; private set; }

    /// <summary>The ParameterStatus messages that have passed, one behind the other, where they are kept.</summary>
    public ReadOnlySpan<byte> Parameters => _parameters is { } kept ? kept.WrittenSpan : default;

    /// <summary>The key by which the session may be cancelled, once it has passed.</summary>
    public BackendKey? Key { get; private set; }

    /// <summary>The code of the server's refusal.</summary>
    public string? Refusal { get; private set; }

    /// <summary>Takes whole messages off the buffer's beginning and writes them for the client.</summary>
    /// <param name="buffer">
    /// The server's bytes; what is left afterwards has to be shown again, with more behind it.
    /// </param>
    /// <param name="client">Where to; not flushed.</param>
    public LoginState Process(ref ReadOnlySequence<byte> buffer, IBufferWriter<byte> client)
    {
        while (true)
        {
            if (_raw > 0)
            {
                var length = Math.Min(_raw, buffer.Length);
                Relay(ref buffer, length, client);
                _raw -= length;
                if (_raw > 0)
                {
                    return LoginState.Running;
                }
            }
            var message = ServerMessage.Peek(buffer);
            switch (message.State)
            {
                case ServerMessageState.NoHeader:
                case ServerMessageState.Partial when message.Length <= ServerOpening.Window:
                    return LoginState.Running;
                case ServerMessageState.Broken:
                    return LoginState.Broken;
                case ServerMessageState.Partial:
                    HasAskedClient = true;
                    _raw = message.Length;   // a long token of GSSAPI: nothing of interest is that long
                    continue;
            }
            if (Process(message, ref buffer, client) is { } state)
            {
                return state;
            }
        }
    }

    // Null: go on with the next message.
    private LoginState? Process(ServerMessage message, ref ReadOnlySequence<byte> buffer, IBufferWriter<byte> client)
    {
        var body = message.Body(buffer);
        switch (message.Type)
        {
            case MessageType.Authentication when LoginMessages.IsAuthenticationOk(body):
                switch (ServerOpening.Read(buffer, mustBePrimary).Kind)
                {
                    case ServerOpeningKind.Incomplete:
                        return LoginState.Running;   // held back until the role is known
                    case ServerOpeningKind.Standby:
                        return LoginState.Standby;
                }
                break;
            case MessageType.Authentication:
                HasAskedClient = true;
                asked?.Invoke(body);
                if (dropChannelBinding && LoginMessages.WithoutChannelBinding(body) is { } rewritten)
                {
                    tap.FromServer(rewritten);
                    client.Write(rewritten);
                    buffer = buffer.Slice(message.Length);
                    return null;
                }
                break;
            case MessageType.ParameterStatus when mustBePrimary
                && LoginMessages.TryReadInHotStandby(body, out var inHotStandby) && inHotStandby:
                return LoginState.Standby;
            case MessageType.ParameterStatus when _parameters is not null:
                _parameters.Write(buffer.Slice(0, message.Length).ToArray());
                break;
            case MessageType.BackendKeyData when BackendKey.TryRead(body, out var key):
                Key = key;
                break;
            case MessageType.ErrorResponse:
                Refusal = ErrorResponse.FieldOf(body, 'C');
                Relay(ref buffer, message.Length, client);
                return LoginState.Refused;
            case MessageType.ReadyForQuery:
                Relay(ref buffer, message.Length, client);
                return LoginState.Ready;
        }
        Relay(ref buffer, message.Length, client);
        return null;
    }

    private void Relay(ref ReadOnlySequence<byte> buffer, long length, IBufferWriter<byte> client)
    {
        foreach (var segment in buffer.Slice(0, length))
        {
            tap.FromServer(segment.Span);
            client.Write(segment.Span);
        }
        buffer = buffer.Slice(length);
    }
}
