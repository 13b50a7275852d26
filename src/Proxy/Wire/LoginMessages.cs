using System.Buffers.Binary;

namespace Routing.Proxy.Wire;

/// <summary>
/// Reads and rewrites what a server says during a login. Bodies come without type and length; nothing here throws.
/// </summary>
internal static class LoginMessages
{
    private const int AuthenticationSasl = 10;

    /// <summary>Whether an authentication message says that the login has succeeded.</summary>
    public static bool IsAuthenticationOk(ReadOnlySpan<byte> body) =>
        body.Length == sizeof(int) && BinaryPrimitives.ReadInt32BigEndian(body) == 0;

    /// <summary>Whether a ParameterStatus is about recovery, and what it says.</summary>
    public static bool TryReadInHotStandby(ReadOnlySpan<byte> body, out bool inHotStandby)
    {
        var name = "in_hot_standby\0"u8;
        inHotStandby = body.StartsWith(name) && body[name.Length..].SequenceEqual("on\0"u8);
        return body.StartsWith(name);
    }

    /// <summary>
    /// The whole message without <c>SCRAM-SHA-256-PLUS</c> when a body offers that among others: a client in clear text
    /// can't bind to the TLS session that the proxy has with the server. Null: nothing to change.
    /// </summary>
    public static byte[]? WithoutChannelBinding(ReadOnlySpan<byte> body)
    {
        var plus = "SCRAM-SHA-256-PLUS\0"u8;
        if (body.Length < sizeof(int) || BinaryPrimitives.ReadInt32BigEndian(body) != AuthenticationSasl)
        {
            return null;
        }
        var at = sizeof(int);
        while (!body[at..].StartsWith(plus))
        {
            var length = body[at..].IndexOf((byte)0);
            if (length <= 0)
            {
                return null;   // the list's end
            }
            at += length + 1;
        }
        var message = new byte[ServerMessage.HeaderLength + body.Length - plus.Length];
        message[0] = MessageType.Authentication;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), message.Length - 1);
        body[..at].CopyTo(message.AsSpan(ServerMessage.HeaderLength));
        body[(at + plus.Length)..].CopyTo(message.AsSpan(ServerMessage.HeaderLength + at));
        return message;
    }
}
