using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Routing.Proxy.Sessions.Handing;

/// <summary>Writes fields one after another, in memory that is not moved and is zeroed in the end.</summary>
internal sealed class SecretWriter : IDisposable
{
    private byte[] _buffer = GC.AllocateUninitializedArray<byte>(4096, pinned: true);
    private int _length;

    /// <summary>What was written.</summary>
    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _length);

    /// <summary>Writes a byte.</summary>
    public void Byte(byte value) => Room(1)[0] = value;

    /// <summary>Writes a truth.</summary>
    public void Boolean(bool value) => Byte(value ? (byte)1 : (byte)0);

    /// <summary>Writes 4 bytes.</summary>
    public void Int(int value) => BinaryPrimitives.WriteInt32BigEndian(Room(sizeof(int)), value);

    /// <summary>Writes 8 bytes.</summary>
    public void Long(long value) => BinaryPrimitives.WriteInt64BigEndian(Room(sizeof(long)), value);

    /// <summary>Writes a length and so many bytes.</summary>
    public void Bytes(ReadOnlySpan<byte> value)
    {
        Int(value.Length);
        value.CopyTo(Room(value.Length));
    }

    /// <summary>Writes a length, and gives the place for so many bytes.</summary>
    public Span<byte> Place(int length)
    {
        Int(length);
        return Room(length);
    }

    /// <summary>Writes a text.</summary>
    public void Text(string value) => Encoding.UTF8.GetBytes(value, Place(Encoding.UTF8.GetByteCount(value)));

    /// <inheritdoc/>
    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_buffer);
        _length = 0;
    }

    private Span<byte> Room(int length)
    {
        if (_buffer.Length - _length < length)
        {
            var larger = GC.AllocateUninitializedArray<byte>(
                Math.Max(2 * _buffer.Length, _length + length), pinned: true);
            Written.CopyTo(larger);
            CryptographicOperations.ZeroMemory(_buffer);
            _buffer = larger;
        }
        _length += length;
        return _buffer.AsSpan(_length - length, length);
    }
}
