using System.Buffers.Binary;
using System.Text;

namespace Routing.Proxy.Sessions.Handing;

/// <summary>Reads fields one after another.</summary>
/// <exception cref="InvalidDataException">There are fewer bytes than a field needs.</exception>
internal ref struct FieldReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _rest = bytes;

    /// <summary>Everything was read.</summary>
    public readonly bool IsAtEnd => _rest.IsEmpty;

    /// <summary>Reads a byte.</summary>
    public byte Byte() => Take(1)[0];

    /// <summary>Reads a truth.</summary>
    public bool Boolean() => Byte() switch
    {
        0 => false,
        1 => true,
        _ => throw new InvalidDataException("A truth is neither 0 nor 1."),
    };

    /// <summary>Reads 4 bytes.</summary>
    public int Int() => BinaryPrimitives.ReadInt32BigEndian(Take(sizeof(int)));

    /// <summary>Reads 8 bytes.</summary>
    public long Long() => BinaryPrimitives.ReadInt64BigEndian(Take(sizeof(long)));

    /// <summary>Reads a length and so many bytes.</summary>
    public ReadOnlySpan<byte> Bytes() => Take(Int());

    /// <summary>Reads a text.</summary>
    public string Text() => Encoding.UTF8.GetString(Bytes());

    private ReadOnlySpan<byte> Take(int length)
    {
        if (length < 0 || length > _rest.Length)
        {
            throw new InvalidDataException("A field is longer than what came.");
        }
        var taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }
}
