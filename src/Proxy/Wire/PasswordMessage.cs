using System.Buffers.Binary;

namespace Routing.Proxy.Wire;

/// <summary>The client's answer to a demand for a password.</summary>
internal static class PasswordMessage
{
    /// <summary>A whole message.</summary>
    /// <param name="text">The answer, without the zero behind it.</param>
    public static byte[] Of(ReadOnlySpan<byte> text)
    {
        var message = Make(text.Length);
        text.CopyTo(message.AsSpan(ServerMessage.HeaderLength));
        return message;
    }

    /// <summary>A whole message in memory that is not moved; its text is still to be filled in.</summary>
    /// <param name="length">Of the text, without the zero behind it.</param>
    public static byte[] Make(int length)
    {
        var message = GC.AllocateArray<byte>(ServerMessage.HeaderLength + length + 1, pinned: true);
        message[0] = MessageType.Password;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), message.Length - 1);
        return message;
    }
}
