using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Routing.Proxy.Wire;

/// <summary>The question for a user's verifier, in the extended protocol, and its answer.</summary>
internal static class VerifierQuestion
{
    /// <summary>The function that docs/proxy.md has the SQL of.</summary>
    public const string Statement = "SELECT routing.verifier_of($1)";

    private const byte DataRow = (byte)'D';

    /// <summary>Parse, Bind, Execute and Sync, with the user's name as the one parameter.</summary>
    public static byte[] Of(string user)
    {
        var name = Encoding.UTF8.GetBytes(user);
        byte[] length = [0, 0, 0, 0];
        BinaryPrimitives.WriteInt32BigEndian(length, name.Length);
        return
        [
            .. Message(MessageType.Parse, [0, .. Encoding.ASCII.GetBytes(Statement), 0, 0, 0]),
            .. Message(MessageType.Bind, [0, 0, 0, 0, 0, 1, .. length, .. name, 0, 0]),
            .. Message(MessageType.Execute, [0, 0, 0, 0, 0]),
            .. Message(MessageType.Sync, []),
        ];
    }

    /// <summary>Reads the answer.</summary>
    /// <param name="buffer">All that the server has sent since.</param>
    /// <param name="text">
    /// The verifier, in memory that is not moved, and that the caller zeroes; null: the user has none that the role may
    /// know.
    /// </param>
    /// <returns>False: it is not whole yet.</returns>
    /// <exception cref="InvalidDataException">The server has answered with an error, or broke the protocol.</exception>
    public static bool TryRead(ReadOnlySequence<byte> buffer, out byte[]? text)
    {
        text = null;
        while (ServerMessage.Peek(buffer) is { State: not ServerMessageState.NoHeader } message)
        {
            if (message.State == ServerMessageState.Partial && message.Length < ServerOpening.Window)
            {
                return false;
            }
            if (message.State != ServerMessageState.Whole)
            {
                throw new InvalidDataException("the server broke the protocol");
            }
            var body = message.Body(buffer);
            switch (message.Type)
            {
                case MessageType.ErrorResponse:
                    throw new InvalidDataException(
                        $"the server says {ErrorResponse.FieldOf(body, 'C')}: {ErrorResponse.FieldOf(body, 'M')}");
                case DataRow:
                    text = ValueOf(body);
                    break;
                case MessageType.ReadyForQuery:
                    return true;
            }
            buffer = buffer.Slice(message.Length);
        }
        return false;
    }

    private static byte[]? ValueOf(ReadOnlySpan<byte> row)
    {
        const int Header = sizeof(short) + sizeof(int);
        if (row.Length < Header)
        {
            return null;
        }
        var length = BinaryPrimitives.ReadInt32BigEndian(row[sizeof(short)..]);
        if (length < 0 || length > row.Length - Header)
        {
            return null;
        }
        var value = GC.AllocateUninitializedArray<byte>(length, pinned: true);
        row.Slice(Header, length).CopyTo(value);
        return value;
    }

    private static byte[] Message(byte type, ReadOnlySpan<byte> body)
    {
        var message = new byte[ServerMessage.HeaderLength + body.Length];
        message[0] = type;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), message.Length - 1);
        body.CopyTo(message.AsSpan(ServerMessage.HeaderLength));
        return message;
    }
}
