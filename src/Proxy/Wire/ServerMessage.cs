using System.Buffers;
using System.Buffers.Binary;

namespace Routing.Proxy.Wire;

/// <summary>How far a buffer holds a message.</summary>
internal enum ServerMessageState
{
    /// <summary>Its header is not whole yet.</summary>
    NoHeader,

    /// <summary>Its header is known; its body is not whole yet.</summary>
    Partial,

    /// <summary>The buffer holds the whole message.</summary>
    Whole,

    /// <summary>Its length can't be.</summary>
    Broken,
}

/// <summary>
/// The message at the beginning of a server's bytes, for the few that are read whole during the login.
/// </summary>
/// <param name="State">How far it is there.</param>
/// <param name="Type">Its type byte.</param>
/// <param name="Length">Bytes of the whole message, its type byte included.</param>
internal readonly record struct ServerMessage(ServerMessageState State, byte Type = 0, int Length = 0)
{
    /// <summary>A type byte and a length.</summary>
    public const int HeaderLength = 5;

    /// <summary>Looks at the first message of a buffer.</summary>
    public static ServerMessage Peek(in ReadOnlySequence<byte> buffer)
    {
        if (buffer.Length < HeaderLength)
        {
            return new(ServerMessageState.NoHeader);
        }
        Span<byte> header = stackalloc byte[HeaderLength];
        buffer.Slice(0, HeaderLength).CopyTo(header);
        var length = BinaryPrimitives.ReadInt32BigEndian(header[1..]);
        if (length is < sizeof(int) or int.MaxValue)
        {
            return new(ServerMessageState.Broken, header[0]);
        }
        return new(buffer.Length > length ? ServerMessageState.Whole : ServerMessageState.Partial, header[0],
            length + 1);
    }

    /// <summary>Its body in a row. Only for a whole message that the caller knows to be short.</summary>
    public ReadOnlySpan<byte> Body(in ReadOnlySequence<byte> buffer)
    {
        var body = buffer.Slice(HeaderLength, Length - HeaderLength);
        return body.IsSingleSegment ? body.FirstSpan : body.ToArray();
    }
}
