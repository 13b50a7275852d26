using System.Buffers;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>
/// Reads what a server has answered to a <see cref="FirstStatement"/>, of which its client has seen nothing. On the
/// connection's loop.
/// </summary>
internal sealed class RefusedStatement
{
    private const int Longest = 64 * 1024;

    private List<byte[]> _notifications = [];
    private int _ready;
    private byte _status;
    private bool _isWhole;       // what the server owes has come, and nothing among it that may have had an effect
    private bool _isFatal;
    private long _length;

    /// <summary>The code of the first error; null: there is none, or it can't be told.</summary>
    public string? Code { get; private set; }

    /// <summary>The whole message of the first error.</summary>
    public byte[]? Error { get; private set; }

    /// <summary>The statement was refused without effect, and nothing else that was sent has had one.</summary>
    public bool IsWithoutEffect => FirstStatement.IsWithoutEffect(Code) && (_isWhole || _isFatal);

    /// <summary>The state of the transaction behind it; 0: the server has ended, or not answered all in time.</summary>
    public byte Status => _isWhole ? _status : (byte)0;

    /// <summary>Notifications that came meanwhile, whole messages in their order.</summary>
    public IReadOnlyList<byte[]> Notifications => _notifications;

    /// <summary>Reads the answers up to the last ReadyForQuery that is owed.</summary>
    /// <param name="server">The server's connection: the answers are the first in its input, and stay there.</param>
    /// <param name="owed">How many ReadyForQuery the server owes.</param>
    /// <param name="patience">How long it may take.</param>
    /// <param name="time">The clock.</param>
    public async ValueTask ReadAsync(ITransportConnection server, int owed, TimeSpan patience, TimeProvider time)
    {
        using var limit = new CancellationTokenSource(patience, time);
        try
        {
            while (true)
            {
                var result = await server.Input.ReadAsync(limit.Token);
                var isOver = Judge(result.Buffer, owed) || result.IsCompleted;
                server.Input.AdvanceTo(result.Buffer.Start, isOver ? result.Buffer.Start : result.Buffer.End);
                if (isOver)
                {
                    return;
                }
            }
        }
        catch (Exception error) when (ConnectionFault.Is(error) || error is OperationCanceledException)
        {
            // What was read counts.
        }
    }

    /// <summary>Takes the answers that were read out of a server's input.</summary>
    public void Take(ITransportConnection server)
    {
        if (server.Input.TryRead(out var result))
        {
            server.Input.AdvanceTo(result.Buffer.GetPosition(_length));
        }
    }

    // From the beginning each time: the answers are short. True: nothing more is needed.
    private bool Judge(ReadOnlySequence<byte> answers, int owed)
    {
        (Code, Error, _isFatal, _isWhole, _status, _ready, _notifications) = (null, null, false, false, 0, 0, []);
        var all = answers;
        while (ServerMessage.Peek(answers) is var message)
        {
            if (message.State != ServerMessageState.Whole)
            {
                return message.State == ServerMessageState.Broken || message.Length > Longest;
            }
            if (!Judge(message, answers.Slice(0, message.Length)))
            {
                _isFatal = false;
                return true;
            }
            answers = answers.Slice(message.Length);
            if (Error is not null && (_ready >= owed || !FirstStatement.IsWithoutEffect(Code)))
            {
                (_isWhole, _length) = (_ready >= owed, all.Length - answers.Length);
                return true;
            }
        }
        return false;
    }

    // False: something may have had an effect.
    private bool Judge(ServerMessage message, in ReadOnlySequence<byte> whole)
    {
        switch (message.Type)
        {
            case MessageType.ErrorResponse:
                if (Error is null)
                {
                    (Code, Error) = (ErrorResponse.FieldOf(message.Body(whole), 'C'), whole.ToArray());
                    _isFatal = ErrorResponse.FieldOf(message.Body(whole), 'V') == "FATAL";
                }
                return true;
            case MessageType.Notification:
                _notifications.Add(whole.ToArray());
                return true;
            case MessageType.NoticeResponse or MessageType.ParameterStatus:
                return true;
            case MessageType.CommandComplete:
                var text = whole.ToArray();
                return FirstStatement.IsBegin(text)
                    || text.AsSpan(ServerMessage.HeaderLength).SequenceEqual("ROLLBACK\0"u8);
            case MessageType.ReadyForQuery:
                (_ready, _status) = (_ready + 1, message.Body(whole) is [var status, ..] ? status : (byte)0);
                return true;
            default:
                return FirstStatement.IsPreparation(message.Type);
        }
    }
}
