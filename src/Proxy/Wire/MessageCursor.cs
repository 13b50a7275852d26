using System.Buffers.Binary;

namespace Routing.Proxy.Wire;

/// <summary>
/// Follows the framing of one direction: where in which message the bytes stand, however they are cut into segments.
/// </summary>
/// <remarks>A mutable struct of 12 bytes, kept in a field; nothing is buffered and nothing is allocated.</remarks>
internal struct MessageCursor
{
    /// <summary>
    /// Both ends keep a message in one piece of memory, of less than 1 GiB: a longer one is refused by either.
    /// </summary>
    private const uint LongestMessage = (1u << 30) + sizeof(int);

    // bytes of the body that have not passed yet; while the header is partial: what is known of its length
    private uint _left;
    private byte _header;      // bytes of a partial header that have passed
    private byte _type;
    private bool _isLost;

    /// <summary>Whether the bytes stand between two messages. Never again once the framing is lost.</summary>
    public readonly bool AtBoundary => _left == 0 && _header == 0 && !_isLost;

    /// <summary>A length that can't be has been seen: nothing that follows can be told apart.</summary>
    public readonly bool IsLost => _isLost;

    /// <summary>Type of the message that stands here, or of the last one that passed.</summary>
    public readonly byte Type => _type;

    /// <summary>Whether the header has passed and some of the body has not.</summary>
    public readonly bool InBody => _left != 0 && _header == 0;

    /// <summary>Between two messages, behind one of this type.</summary>
    public static MessageCursor Behind(byte type) => new() { _type = type };

    /// <summary>Takes a header, or as much of it as there is. Only where no body is left.</summary>
    /// <returns>Whether it is whole now; its message may have no body.</returns>
    public bool TakeHeader(ref ReadOnlySpan<byte> bytes)
    {
        if (_header == 0 && bytes.Length >= ServerMessage.HeaderLength)
        {
            _type = bytes[0];
            _left = BinaryPrimitives.ReadUInt32BigEndian(bytes[1..]);
            bytes = bytes[ServerMessage.HeaderLength..];
            return EndHeader();
        }
        return TakePartialHeader(ref bytes);
    }

    /// <summary>Takes what there is of the body.</summary>
    public ReadOnlySpan<byte> TakeBody(ref ReadOnlySpan<byte> bytes)
    {
        var length = (int)Math.Min(_left, (uint)bytes.Length);
        var part = bytes[..length];
        bytes = bytes[length..];
        _left -= (uint)length;
        return part;
    }

    private bool TakePartialHeader(ref ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            if (_header == 0)
            {
                _type = bytes[0];
            }
            else
            {
                _left = (_left << 8) | bytes[0];
            }
            bytes = bytes[1..];
            if (++_header == ServerMessage.HeaderLength)
            {
                _header = 0;
                return EndHeader();
            }
        }
        return false;
    }

    private bool EndHeader()
    {
        if (_left is < sizeof(int) or > LongestMessage)
        {
            _isLost = true;
            _left = 0;
            return false;
        }
        _left -= sizeof(int);
        return true;
    }
}
