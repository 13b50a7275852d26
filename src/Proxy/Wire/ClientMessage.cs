using System.Buffers;
using System.Buffers.Binary;

namespace Routing.Proxy.Wire;

/// <summary>Messages of the extended protocol that the proxy sends for itself.</summary>
internal static class ClientMessage
{
    private const byte Statement = (byte)'S';

    /// <summary>Parse.</summary>
    /// <param name="output">Where to; not flushed.</param>
    /// <param name="name">The statement's name.</param>
    /// <param name="text">Its text.</param>
    /// <param name="types">The types of its parameters.</param>
    public static void WriteParse(
        IBufferWriter<byte> output, ReadOnlySpan<byte> name, ReadOnlySpan<byte> text, ReadOnlySpan<uint> types)
    {
        var body = new ArrayBufferWriter<byte>(name.Length + text.Length + 8 + (types.Length * sizeof(uint)));
        WriteText(body, name);
        WriteText(body, text);
        WriteShort(body, types.Length);
        foreach (var type in types)
        {
            BinaryPrimitives.WriteUInt32BigEndian(body.GetSpan(sizeof(uint)), type);
            body.Advance(sizeof(uint));
        }
        Write(output, MessageType.Parse, body.WrittenSpan);
    }

    /// <summary>Bind to the unnamed portal, and Execute: all parameters and results are texts.</summary>
    /// <param name="output">Where to; not flushed.</param>
    /// <param name="statement">The statement's name.</param>
    /// <param name="parameters">Its parameters.</param>
    public static void WriteRun(
        IBufferWriter<byte> output, ReadOnlySpan<byte> statement, params ReadOnlySpan<byte[]> parameters)
    {
        var body = new ArrayBufferWriter<byte>();
        WriteText(body, default);
        WriteText(body, statement);
        WriteShort(body, 0);
        WriteShort(body, parameters.Length);
        foreach (var parameter in parameters)
        {
            BinaryPrimitives.WriteInt32BigEndian(body.GetSpan(sizeof(int)), parameter.Length);
            body.Advance(sizeof(int));
            body.Write(parameter);
        }
        WriteShort(body, 0);
        Write(output, MessageType.Bind, body.WrittenSpan);
        Write(output, MessageType.Execute, [0, 0, 0, 0, 0]);
    }

    /// <summary>Close of a statement; it need not be there.</summary>
    public static void WriteClose(IBufferWriter<byte> output, ReadOnlySpan<byte> statement) =>
        Write(output, MessageType.Close, [Statement, .. statement, 0]);

    /// <summary>Query.</summary>
    public static void WriteQuery(IBufferWriter<byte> output, ReadOnlySpan<byte> text) =>
        Write(output, MessageType.Query, [.. text, 0]);

    /// <summary>Sync.</summary>
    public static void WriteSync(IBufferWriter<byte> output) => Write(output, MessageType.Sync, []);

    private static void Write(IBufferWriter<byte> output, byte type, ReadOnlySpan<byte> body)
    {
        var span = output.GetSpan(ServerMessage.HeaderLength);
        span[0] = type;
        BinaryPrimitives.WriteInt32BigEndian(span[1..], sizeof(int) + body.Length);
        output.Advance(ServerMessage.HeaderLength);
        output.Write(body);
    }

    private static void WriteText(ArrayBufferWriter<byte> body, ReadOnlySpan<byte> text)
    {
        body.Write(text);
        body.GetSpan(1)[0] = 0;
        body.Advance(1);
    }

    private static void WriteShort(ArrayBufferWriter<byte> body, int value)
    {
        BinaryPrimitives.WriteInt16BigEndian(body.GetSpan(sizeof(short)), (short)value);
        body.Advance(sizeof(short));
    }
}
