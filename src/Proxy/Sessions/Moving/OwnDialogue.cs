using System.Buffers;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Moving;

/// <summary>
/// Messages of the proxy's own in a session at rest, up to the server's ReadyForQuery. What the server says unasked
/// meanwhile is kept for the client. On the connection's loop.
/// </summary>
/// <param name="server">The server's connection: both of its pipes are free.</param>
/// <param name="most">The most bytes of rows; more is broken off.</param>
internal sealed class OwnDialogue(ITransportConnection server, int most)
{
    private const byte DataRow = (byte)'D';

    private const int LongestMessage = StateQuestion.Longest;

    private readonly List<byte[]> _rows = [];
    private int _length;

    /// <summary>The bodies of the rows that were sent.</summary>
    public IReadOnlyList<byte[]> Rows => _rows;

    /// <summary>The server's first error, its whole message; null: there was none.</summary>
    public byte[]? Error { get; private set; }

    /// <summary>The code of that error.</summary>
    public string? Code { get; private set; }

    /// <summary>The parameters that have changed, whole messages in their order.</summary>
    public List<byte[]> Parameters { get; } = [];

    /// <summary>Notifications, whole messages in their order.</summary>
    public List<byte[]> Notifications { get; } = [];

    /// <summary>The server is ready for the client's next statement, outside a transaction.</summary>
    public bool IsReady { get; private set; }

    /// <summary>Sends what was written and reads the answers.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>False: the server broke the protocol, or ended, or says too much.</returns>
    /// <exception cref="IOException">The connection broke.</exception>
    /// <exception cref="OperationCanceledException">It took too long.</exception>
    public async ValueTask<bool> RunAsync(CancellationToken cancellationToken)
    {
        // Answers are read while the questions are sent: a server that nobody reads stops reading.
        var sending = server.Output.FlushAsync(cancellationToken).AsTask();
        try
        {
            while (true)
            {
                var result = await server.Input.ReadAsync(cancellationToken);
                var buffer = result.Buffer;
                var end = Read(ref buffer);
                server.Input.AdvanceTo(buffer.Start, end is null ? result.Buffer.End : buffer.Start);
                if (end is { } known)
                {
                    IsReady = known;
                    return known;
                }
                if (result.IsCompleted)
                {
                    return false;
                }
            }
        }
        finally
        {
            await ((Task)sending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await new LoopSwitch(server);
        }
    }

    // Null: more has to come.
    private bool? Read(ref ReadOnlySequence<byte> buffer)
    {
        while (true)
        {
            var message = ServerMessage.Peek(buffer);
            if (message.State == ServerMessageState.NoHeader
                || (message.State == ServerMessageState.Partial && message.Length <= LongestMessage))
            {
                return null;
            }
            if (message.State != ServerMessageState.Whole || (_length += message.Length) > most)
            {
                return false;
            }
            var whole = buffer.Slice(0, message.Length);
            buffer = buffer.Slice(message.Length);
            switch (message.Type)
            {
                case DataRow:
                    _rows.Add(message.Body(whole).ToArray());
                    break;
                case MessageType.ParameterStatus:
                    Parameters.Add(whole.ToArray());
                    break;
                case MessageType.Notification:
                    Notifications.Add(whole.ToArray());
                    break;
                case MessageType.ErrorResponse when Error is null:
                    (Error, Code) = (whole.ToArray(), ErrorResponse.FieldOf(message.Body(whole), 'C'));
                    break;
                case MessageType.ReadyForQuery:
                    return message.Body(whole).SequenceEqual("I"u8);
            }
        }
    }
}
