using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;
using Routing.Proxy.Sessions.Secrets;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Moving;

/// <summary>How a login that the proxy makes for a session ended.</summary>
internal enum OwnLoginEnd
{
    /// <summary>The server is ready for the session's next statement.</summary>
    Ready,

    /// <summary>The server is in recovery, where the primary is wanted.</summary>
    Standby,

    /// <summary>The server refuses; <see cref="OwnLogin.Words"/> are what it says.</summary>
    Refused,

    /// <summary>The server asks for something that the proxy does not have.</summary>
    Asked,

    /// <summary>The server broke the protocol.</summary>
    Broken,

    /// <summary>The connection ended, broke, or was given up.</summary>
    Lost,
}

/// <summary>
/// The proxy's own part in a login that repeats the one of a session's client, which sees nothing of it. On the
/// connection's loop.
/// </summary>
/// <param name="server">The server's connection: the start-up message was sent.</param>
/// <param name="mustBePrimary">Whether a server in recovery is the wrong one.</param>
/// <param name="secret">What it answers a demand for a password with; null: it can answer none.</param>
internal sealed class OwnLogin(ITransportConnection server, bool mustBePrimary, LoginSecret? secret)
{
    private const int Password = 3, Md5 = 5, Sasl = 10, SaslContinue = 11, SaslFinal = 12;

    private const int LongestMessage = 64 * 1024;

    private readonly ArrayBufferWriter<byte> _parameters = new();
    private ScramClient? _scram;
    private byte[]? _answer;
    private bool _hasAnswered;   // a demand for a password or its hash: there is no second one
    private bool _isWelcome;

    /// <summary>The key by which the new session may be cancelled.</summary>
    public BackendKey? Key { get; private set; }

    /// <summary>The ParameterStatus messages that the server has sent, one behind the other.</summary>
    public ReadOnlyMemory<byte> Parameters => _parameters.WrittenMemory;

    /// <summary>The code of the server's refusal.</summary>
    public string? Code { get; private set; }

    /// <summary>The whole message of the refusal.</summary>
    public byte[]? Words { get; private set; }

    /// <summary>Logs in. Never throws for what a server does.</summary>
    public async ValueTask<OwnLoginEnd> RunAsync()
    {
        try
        {
            while (true)
            {
                var result = await server.Input.ReadAsync();
                var buffer = result.Buffer;
                var end = Read(ref buffer);
                server.Input.AdvanceTo(buffer.Start, end is null ? result.Buffer.End : buffer.Start);
                if (end is not null || result.IsCompleted)
                {
                    return end ?? OwnLoginEnd.Lost;
                }
                if (_answer is { } answer)
                {
                    _answer = null;
                    server.Output.Write(answer);
                    CryptographicOperations.ZeroMemory(answer);
                    await server.Output.FlushAsync();
                }
            }
        }
        catch (Exception error) when (ConnectionFault.Is(error))
        {
            return OwnLoginEnd.Lost;
        }
    }

    private OwnLoginEnd? Read(ref ReadOnlySequence<byte> buffer)
    {
        while (true)
        {
            var message = ServerMessage.Peek(buffer);
            if (message.State == ServerMessageState.NoHeader
                || (message.State == ServerMessageState.Partial && message.Length <= LongestMessage))
            {
                return null;
            }
            if (message.State != ServerMessageState.Whole)
            {
                return OwnLoginEnd.Broken;
            }
            var whole = buffer.Slice(0, message.Length);
            buffer = buffer.Slice(message.Length);
            if (Take(message, whole) is { } end)
            {
                return end;
            }
        }
    }

    private OwnLoginEnd? Answer(int question, ReadOnlySpan<byte> body)
    {
        switch (question)
        {
            case Password when !_hasAnswered && secret?.AnswerPassword() is { } told:
                (_answer, _hasAnswered) = (told, true);
                return null;
            case Md5 when !_hasAnswered && secret?.AnswerMd5(body) is { } hashed:
                (_answer, _hasAnswered) = (hashed, true);
                return null;
            case Sasl when secret is not null && _scram is null && ScramClient.IsOffered(body):
                _scram = new ScramClient(secret);
                _answer = _scram.First();
                return null;
            case SaslContinue when _scram is not null:
                _answer = _scram.Answer(body);
                return _answer is null ? OwnLoginEnd.Broken : null;
            case SaslFinal when _scram is not null:
                _scram.Check(body);
                return null;
            default:
                return OwnLoginEnd.Asked;
        }
    }

    private OwnLoginEnd? Take(ServerMessage message, in ReadOnlySequence<byte> whole)
    {
        var body = message.Body(whole);
        switch (message.Type)
        {
            case MessageType.Authentication when LoginMessages.IsAuthenticationOk(body):
                _isWelcome = true;
                // A server that can't prove that it knows the verifier is no member of the cluster.
                return _scram is { IsServerProved: false } ? OwnLoginEnd.Broken : null;
            case MessageType.Authentication when body.Length >= sizeof(int):
                return Answer(BinaryPrimitives.ReadInt32BigEndian(body), body[sizeof(int)..]);
            case MessageType.ErrorResponse:
                (Code, Words) = (ErrorResponse.FieldOf(body, 'C'), whole.ToArray());
                return OwnLoginEnd.Refused;
            case MessageType.ParameterStatus when mustBePrimary
                && LoginMessages.TryReadInHotStandby(body, out var inHotStandby) && inHotStandby:
                return OwnLoginEnd.Standby;
            case MessageType.ParameterStatus when _isWelcome:
                _parameters.Write(whole.ToArray());
                return null;
            case MessageType.BackendKeyData when _isWelcome && BackendKey.TryRead(body, out var key):
                Key = key;
                return null;
            case MessageType.ReadyForQuery when _isWelcome && body.SequenceEqual("I"u8):
                return OwnLoginEnd.Ready;
            case MessageType.NoticeResponse or MessageType.NegotiateProtocolVersion:
                return null;   // the client has heard as much at its own login
            default:
                return OwnLoginEnd.Broken;
        }
    }
}
