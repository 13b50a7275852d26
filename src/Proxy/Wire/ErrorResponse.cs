using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Routing.Proxy.Wire;

/// <summary>ErrorResponse messages: those that the proxy sends, and the code of those that a server sends.</summary>
internal static class ErrorResponse
{
    private const string Product = "routing-proxy";

    /// <summary>
    /// Writes a FATAL error. The field R names this product, so that the fault is not looked for in the server.
    /// </summary>
    /// <param name="output">Where to; not flushed.</param>
    /// <param name="code">Five characters, see <see cref="SqlState"/>.</param>
    /// <param name="message">One sentence, without its full stop as is the custom.</param>
    /// <param name="detail">A second sentence, or null.</param>
    /// <param name="hint">What to do, or null.</param>
    public static void WriteFatal(
        IBufferWriter<byte> output, string code, string message, string? detail = null, string? hint = null)
    {
        var most = 64 + Encoding.UTF8.GetMaxByteCount(message.Length + (detail?.Length ?? 0) + (hint?.Length ?? 0));
        var span = output.GetSpan(most);
        span[0] = MessageType.ErrorResponse;
        var length = ServerMessage.HeaderLength;
        length += Field(span[length..], 'S', "FATAL");
        length += Field(span[length..], 'V', "FATAL");
        length += Field(span[length..], 'C', code);
        length += Field(span[length..], 'M', message);
        length += Field(span[length..], 'D', detail);
        length += Field(span[length..], 'H', hint);
        length += Field(span[length..], 'R', Product);
        span[length++] = 0;
        BinaryPrimitives.WriteInt32BigEndian(span[1..], length - 1);
        output.Advance(length);
    }

    /// <summary>
    /// The value of a field of a message's body, such as <c>C</c>; null when it is not there. Never throws.
    /// </summary>
    public static string? FieldOf(ReadOnlySpan<byte> body, char tag)
    {
        while (body.Length > 1 && body[0] != 0)
        {
            var length = body[1..].IndexOf((byte)0);
            if (length < 0)
            {
                return null;
            }
            if (body[0] == tag)
            {
                return Encoding.UTF8.GetString(body.Slice(1, length));
            }
            body = body[(length + 2)..];
        }
        return null;
    }

    /// <summary>What to do about an error that came instead of the first question for a password.</summary>
    public static StartupErrorKind KindOf(ReadOnlySpan<byte> body) => FieldOf(body, 'C') switch
    {
        SqlState.CannotConnectNow or SqlState.AdminShutdown or SqlState.CrashShutdown => StartupErrorKind.NotReady,
        SqlState.TooManyConnections => StartupErrorKind.Full,
        _ => StartupErrorKind.Final,
    };

    private static int Field(Span<byte> to, char tag, string? text)
    {
        if (text is null)
        {
            return 0;
        }
        to[0] = (byte)tag;
        var length = Encoding.UTF8.GetBytes(text, to[1..]);
        to[1..(length + 1)].Replace((byte)0, (byte)'?');   // a zero would end the field early
        to[length + 1] = 0;
        return length + 2;
    }
}
