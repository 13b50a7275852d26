using System.Buffers;
using System.Buffers.Binary;

namespace Routing.Proxy.Wire;

/// <summary>The packet that a client begins with: a length and a code, without a type byte.</summary>
/// <remarks>
/// Facts: the manual's chapter "Message Formats" (StartupMessage, SSLRequest, GSSENCRequest, CancelRequest).
/// </remarks>
/// <param name="Kind">What it is.</param>
/// <param name="Length">Bytes of the whole packet; 0 unless it is whole. A ClientHello has no length here.</param>
/// <param name="Code">The protocol version or request code; 0 where there is none.</param>
internal readonly record struct FirstPacket(FirstPacketKind Kind, int Length = 0, int Code = 0)
{
    /// <summary>
    /// Longest start-up packet: the server's limit of 10,000 bytes, which does not count the length itself.
    /// </summary>
    public const int MaximumLength = 10_000 + sizeof(int);

    /// <summary>Length of SSLRequest and of GSSENCRequest.</summary>
    public const int RequestLength = 8;

    /// <summary>First byte of a TLS handshake record.</summary>
    public const byte TlsHandshake = 0x16;

    /// <summary>Code of an SSLRequest.</summary>
    public const int SslRequestCode = (1234 << 16) | 5679;

    /// <summary>Code of a GSSENCRequest.</summary>
    public const int GssEncRequestCode = (1234 << 16) | 5680;

    /// <summary>Code of a CancelRequest.</summary>
    public const int CancelRequestCode = (1234 << 16) | 5678;

    private const int ProtocolMajor = 3;
    private const int Unknown = -1;

    /// <summary>SSLRequest, ready to be sent.</summary>
    public static ReadOnlySpan<byte> SslRequest => [0, 0, 0, 8, 4, 210, 22, 47];

    /// <summary>GSSENCRequest, ready to be sent.</summary>
    public static ReadOnlySpan<byte> GssEncRequest => [0, 0, 0, 8, 4, 210, 22, 48];

    /// <summary>Tells what a buffer begins with. Never throws; decides as early as the bytes allow.</summary>
    public static FirstPacket Read(in ReadOnlySequence<byte> buffer)
    {
        Span<byte> head = stackalloc byte[RequestLength];
        var known = (int)Math.Min(buffer.Length, head.Length);
        if (known == 0)
        {
            return new(FirstPacketKind.Incomplete);
        }
        buffer.Slice(0, known).CopyTo(head);
        if (head[0] == TlsHandshake)
        {
            return new(FirstPacketKind.DirectTls);
        }
        var length = KnownLength(head[..known]);
        if (length is 0)
        {
            return new(FirstPacketKind.NotPostgres);
        }
        if (known < RequestLength)
        {
            return new(FirstPacketKind.Incomplete);
        }
        var code = BinaryPrimitives.ReadInt32BigEndian(head[sizeof(int)..]);
        var kind = KindOf(code, length);
        return kind is FirstPacketKind.Startup or FirstPacketKind.CancelRequest && buffer.Length < length
            ? new(FirstPacketKind.Incomplete)
            : new(kind, length, code);
    }

    // The length as far as the bytes tell: 0 when it can't be right whatever follows.
    private static int KnownLength(ReadOnlySpan<byte> head)
    {
        if (head[0] != 0 || (head.Length > 1 && head[1] != 0))
        {
            return 0;
        }
        if (head.Length < sizeof(int))
        {
            return Unknown;
        }
        var length = BinaryPrimitives.ReadInt32BigEndian(head);
        return length is >= RequestLength and <= MaximumLength ? length : 0;
    }

    private static FirstPacketKind KindOf(int code, int length) => code switch
    {
        SslRequestCode when length == RequestLength => FirstPacketKind.SslRequest,
        GssEncRequestCode when length == RequestLength => FirstPacketKind.GssEncRequest,
        CancelRequestCode when CancelRequest.IsLength(length) => FirstPacketKind.CancelRequest,
        SslRequestCode or GssEncRequestCode or CancelRequestCode => FirstPacketKind.NotPostgres,
        _ when code >> 16 == ProtocolMajor => FirstPacketKind.Startup,
        _ => FirstPacketKind.UnsupportedProtocol,
    };
}
