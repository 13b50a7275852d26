using System.Buffers;
using System.Buffers.Binary;

namespace Routing.Proxy.Wire;

/// <summary>
/// Keeps what a client has sent since its session was last at rest, for as long as nothing of it can have had an
/// effect: it can be repeated at another server then.
/// </summary>
/// <remarks>
/// What was sent is a statement outside a transaction, or a BEGIN and the statement behind it. Of the answers nothing
/// has reached the client but those to the BEGIN. Every other answer ends the keeping, and so do a length beyond
/// <see cref="Longest"/> and the end of the exchange. Not thread-safe.
/// </remarks>
internal sealed class FirstStatement
{
    /// <summary>The most that is kept, in bytes.</summary>
    public const int Longest = 64 * 1024;

    private byte[] _kept = [];
    private int _length;
    private int _begin;          // the bytes ahead of this are a BEGIN that was answered; 0: there was none
    private bool _hasAnswered;   // an answer to what is behind the BEGIN has reached the client
    private bool _hasBegun;      // so has the tag of a BEGIN, and no ReadyForQuery behind it
    private bool _isSpent;

    /// <summary>It keeps, and what it keeps has had no effect as far as the client has heard.</summary>
    public bool IsOpen => _length > 0 && !_isSpent;

    /// <summary>The session held no state when this began.</summary>
    public bool WasClean { get; private set; }

    /// <summary>How often this was repeated.</summary>
    public int Repeats { get; set; }

    /// <summary>Bytes that come from the client.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="atRest">The session was at rest ahead of them.</param>
    /// <param name="isClean">It held no state ahead of them.</param>
    public void Take(ReadOnlySpan<byte> bytes, bool atRest, bool isClean)
    {
        if (_length == 0 && !_isSpent && atRest)
        {
            WasClean = isClean;
        }
        else if (!IsOpen)
        {
            return;
        }
        if (_length + bytes.Length > Longest)
        {
            Spend();
            return;
        }
        if (_length + bytes.Length > _kept.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(_length + bytes.Length);
            _kept.AsSpan(0, _length).CopyTo(larger);
            Return();
            _kept = larger;
        }
        bytes.CopyTo(_kept.AsSpan(_length));
        _length += bytes.Length;
    }

    /// <summary>Looks at what a server sends from the beginning of a message on, and notes what passes.</summary>
    /// <returns>True: the message is withheld: it lets this be repeated, or what is at once behind it does.</returns>
    public bool Withholds(ReadOnlySpan<byte> bytes)
    {
        if (!_hasAnswered && IsRefusal(bytes))
        {
            return true;
        }
        switch (bytes[0])
        {
            case MessageType.ParameterStatus or MessageType.NoticeResponse or MessageType.Notification
                or MessageType.ReadyForQuery:
                break;
            case MessageType.CommandComplete when _begin == 0 && IsBegin(bytes):
                (_hasBegun, _hasAnswered) = (true, true);
                break;
            case var type when IsPreparation(type):
                _hasAnswered = true;
                break;
            default:
                Spend();
                break;
        }
        return false;
    }

    /// <summary>A ReadyForQuery has passed.</summary>
    /// <param name="status">The state of the transaction.</param>
    /// <param name="atRest">The session is at rest.</param>
    public void Ready(byte status, bool atRest)
    {
        if (atRest)
        {
            Spend();
            (_isSpent, Repeats) = (false, 0);
        }
        else if (IsOpen && _hasBegun && status == 'T' && FirstRequest() is > 0 and var end)
        {
            (_begin, _hasBegun, _hasAnswered) = (end, false, false);
        }
        else
        {
            Spend();
        }
    }

    /// <summary>This is not to be repeated any more.</summary>
    public void Spend()
    {
        Return();
        (_kept, _length, _begin, _hasAnswered, _hasBegun, _isSpent) = ([], 0, 0, false, false, true);
    }

    /// <summary>
    /// Nothing that runs a statement, but the BEGIN, has been sent whole. An answer would have come to what was.
    /// </summary>
    /// <param name="unsent">How many of the last bytes have not been sent.</param>
    public bool IsUnsent(int unsent)
    {
        var sent = _length - unsent;
        for (var at = _begin; TryRead(at, out var type, out var end) && end <= sent; at = end)
        {
            if (type is not (MessageType.Parse or MessageType.Bind or MessageType.Describe or MessageType.Close
                or MessageType.Flush or MessageType.Sync))
            {
                return false;
            }
        }
        return !_hasAnswered && sent >= _begin;
    }

    /// <summary>
    /// Whether all of it may be sent once more: no COPY data, no call of a function by its number, no farewell.
    /// </summary>
    public bool IsRepeatable()
    {
        for (var at = 0; at < _length; at = TryRead(at, out _, out var end) ? end : _length)
        {
            if (_kept[at] is not (MessageType.Query or MessageType.Parse or MessageType.Bind or MessageType.Describe
                or MessageType.Execute or MessageType.Close or MessageType.Flush or MessageType.Sync))
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>The BEGIN whose answers the client has had; empty: there was none.</summary>
    public ReadOnlySpan<byte> Begin => _kept.AsSpan(0, _begin);

    /// <summary>All that the client has sent behind that; its last message may be there in part.</summary>
    public ReadOnlySpan<byte> Statement => _kept.AsSpan(_begin, _length - _begin);

    /// <summary>Whether it prepares a statement of this name.</summary>
    public bool Prepares(ReadOnlySpan<byte> name)
    {
        for (var at = 0; TryRead(at, out var type, out var end); at = end)
        {
            var body = _kept.AsSpan((at + ServerMessage.HeaderLength)..end);
            if (type == MessageType.Parse && body.StartsWith(name) && body.Length > name.Length
                && body[name.Length] == 0)
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Messages by which a server says that it is ready to run what it was sent.</summary>
    public static bool IsPreparation(byte type) => type is MessageType.ParseComplete or MessageType.BindComplete
        or MessageType.CloseComplete or MessageType.NoData or MessageType.ParameterDescription
        or MessageType.RowDescription;

    /// <summary>Whether a CommandComplete is that of a BEGIN.</summary>
    /// <param name="message">The message, and what is behind it; it may be there in part.</param>
    public static bool IsBegin(ReadOnlySpan<byte> message) =>
        message.Length > ServerMessage.HeaderLength
        && message[ServerMessage.HeaderLength..] is var tag
        && (tag.StartsWith("BEGIN\0"u8) || tag.StartsWith("START TRANSACTION\0"u8));

    /// <summary>Codes of the errors with which a statement has had no effect.</summary>
    public static bool IsWithoutEffect(string? code) =>
        code is SqlState.ReadOnlyTransaction or SqlState.CannotConnectNow;

    private bool IsRefusal(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var isWhole = bytes.Length >= ServerMessage.HeaderLength
                && BinaryPrimitives.ReadUInt32BigEndian(bytes[1..]) < (uint)bytes.Length;
            if (bytes[0] is MessageType.ErrorResponse or MessageType.NoticeResponse)
            {
                return isWhole ? IsRefusal(bytes[0], CodeOf(bytes)) : bytes[0] == MessageType.ErrorResponse;
            }
            if (!isWhole || !(IsPreparation(bytes[0])
                || (bytes[0] == MessageType.CommandComplete && _begin == 0 && IsBegin(bytes))))
            {
                return false;
            }
            bytes = bytes[(1 + BinaryPrimitives.ReadInt32BigEndian(bytes[1..]))..];
        }
        return false;
    }

    private bool IsRefusal(byte type, string? code) =>
        (type == MessageType.ErrorResponse && IsWithoutEffect(code))
        || (code is SqlState.AdminShutdown or SqlState.CrashShutdown && IsUnsent(0));

    private static string? CodeOf(ReadOnlySpan<byte> message) =>
        ErrorResponse.FieldOf(
            message[ServerMessage.HeaderLength..(1 + BinaryPrimitives.ReadInt32BigEndian(message[1..]))], 'C');

    // The end of the first Query or Sync; 0: there is none yet.
    private int FirstRequest()
    {
        for (var at = 0; TryRead(at, out var type, out var end); at = end)
        {
            if (type is MessageType.Query or MessageType.Sync)
            {
                return end;
            }
        }
        return 0;
    }

    // False: no whole message stands there.
    private bool TryRead(int at, out byte type, out int end)
    {
        (type, end) = (0, _length);
        if (_length - at < ServerMessage.HeaderLength)
        {
            return false;
        }
        type = _kept[at];
        var length = BinaryPrimitives.ReadUInt32BigEndian(_kept.AsSpan(at + 1));
        if (length < sizeof(int) || length > _length - at - 1)
        {
            return false;
        }
        end = at + 1 + (int)length;
        return true;
    }

    private void Return()
    {
        if (_kept.Length > 0)
        {
            _kept.AsSpan(0, _length).Clear();   // a statement may hold secrets
            ArrayPool<byte>.Shared.Return(_kept);
        }
    }
}
