using System.Buffers.Binary;
using System.Text;

namespace Routing.TestKit;

/// <summary>Messages of PostgreSQL's protocol (version 3), as pretend servers write and read them.</summary>
public static class BackendMessage
{
    /// <summary>The login is done.</summary>
    public static byte[] LoggedIn => Of('R', 0, 0, 0, 0);

    /// <summary>Any message.</summary>
    public static byte[] Of(char type, params ReadOnlySpan<byte> body)
    {
        var message = new byte[5 + body.Length];
        message[0] = (byte)type;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), 4 + body.Length);
        body.CopyTo(message.AsSpan(5));
        return message;
    }

    /// <summary>ReadyForQuery.</summary>
    public static byte[] Ready(char status = 'I') => Of('Z', (byte)status);

    /// <summary>ParameterStatus.</summary>
    public static byte[] Parameter(string name, string value) => Of('S', Encoding.UTF8.GetBytes($"{name}\0{value}\0"));

    /// <summary>ErrorResponse of severity FATAL.</summary>
    public static byte[] Error(string code) =>
        Of('E', Encoding.UTF8.GetBytes($"SFATAL\0VFATAL\0C{code}\0Mpretended\0\0"));

    /// <summary>BackendKeyData: the process, and a secret that follows from it.</summary>
    public static byte[] Key(int pid, int secretLength = 4)
    {
        var key = new byte[4 + secretLength];
        BinaryPrimitives.WriteInt32BigEndian(key, pid);
        BinaryPrimitives.WriteInt32BigEndian(key.AsSpan(4), pid * 7919);
        return Of('K', key);
    }

    /// <summary>
    /// Reads a packet without a type, its length included: a start-up, a request for encryption or to cancel.
    /// </summary>
    public static async Task<byte[]> ReadPacketAsync(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var head = new byte[4];
        await stream.ReadExactlyAsync(head);
        var packet = new byte[BinaryPrimitives.ReadInt32BigEndian(head)];
        head.CopyTo(packet, 0);
        await stream.ReadExactlyAsync(packet.AsMemory(4));
        return packet;
    }

    /// <summary>Reads a message.</summary>
    public static async Task<(char Type, byte[] Body)> ReadAsync(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var head = new byte[5];
        await stream.ReadExactlyAsync(head);
        var body = new byte[BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(1)) - 4];
        await stream.ReadExactlyAsync(body);
        return ((char)head[0], body);
    }
}
