using System.Buffers;
using System.Buffers.Binary;
using System.Buffers.Text;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Routing.Proxy.Wire;

/// <summary>The header by which a balancer tells a client's address, in version 1 (text) and 2 (binary).</summary>
/// <remarks>Facts: "The PROXY protocol", versions 1 and 2, by HAProxy.</remarks>
/// <param name="Status">What there is.</param>
/// <param name="Length">Bytes of the whole header; 0 unless it is whole.</param>
/// <param name="Source">The client; null unless proxied.</param>
/// <param name="Destination">Where it connected to; null unless proxied.</param>
internal sealed record ProxyHeader(
    ProxyHeaderStatus Status, int Length = 0, IPEndPoint? Source = null, IPEndPoint? Destination = null)
{
    private const int V1MaximumLength = 107;
    private const int V2FixedLength = 16;
    private const int V2MaximumLength = V2FixedLength + 4_096;   // the addresses and a good deal of additions
    private const int AddressPairV4 = 12;
    private const int AddressPairV6 = 36;

    private static readonly ProxyHeader s_incomplete = new(ProxyHeaderStatus.Incomplete);
    private static readonly ProxyHeader s_invalid = new(ProxyHeaderStatus.Invalid);

    private static ReadOnlySpan<byte> V1Signature => "PROXY "u8;

    private static ReadOnlySpan<byte> V2Signature =>
        [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A];

    /// <summary>Reads what a buffer begins with. Never throws; refuses as early as the bytes allow.</summary>
    public static ProxyHeader Read(in ReadOnlySequence<byte> buffer)
    {
        var length = (int)Math.Min(buffer.Length, V2MaximumLength);
        if (length == 0)
        {
            return s_incomplete;
        }
        var head = buffer.Slice(0, length);
        var bytes = head.IsSingleSegment ? head.FirstSpan : head.ToArray();
        return bytes[0] == V1Signature[0] ? ReadV1(bytes) : ReadV2(bytes);
    }

    /// <summary>Writes one. Addresses of different families, or none, become "unknown" (v1) or LOCAL (v2).</summary>
    public static byte[] Write(ProxyProtocolVersion version, EndPoint? source, EndPoint? destination)
    {
        var pair = source is IPEndPoint from && destination is IPEndPoint to
            ? (Plain(from), Plain(to))
            : default((IPEndPoint, IPEndPoint)?);
        if (pair is not null && pair.Value.Item1.AddressFamily != pair.Value.Item2.AddressFamily)
        {
            pair = null;
        }
        return version == ProxyProtocolVersion.V2 ? WriteV2(pair) : WriteV1(pair);
    }

    private static byte[] WriteV1((IPEndPoint From, IPEndPoint To)? pair) =>
        Encoding.ASCII.GetBytes(pair is not { } known
        ? "PROXY UNKNOWN\r\n"
        : string.Create(
            CultureInfo.InvariantCulture,
            $"PROXY {(known.From.AddressFamily == AddressFamily.InterNetwork ? "TCP4" : "TCP6")} {known.From.Address} "
                + $"{known.To.Address} {known.From.Port} {known.To.Port}\r\n"));

    private static byte[] WriteV2((IPEndPoint From, IPEndPoint To)? pair)
    {
        var addressLength = pair is not { } some ? 0 : some.From.AddressFamily == AddressFamily.InterNetwork ? 4 : 16;
        var body = addressLength == 0 ? 0 : (2 * addressLength) + (2 * sizeof(ushort));
        var header = new byte[V2FixedLength + body];
        V2Signature.CopyTo(header);
        header[12] = (byte)(pair is null ? 0x20 : 0x21);
        header[13] = (byte)(addressLength switch { 0 => 0x00, 4 => 0x11, _ => 0x21 });
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(14), (ushort)body);
        if (pair is { } known)
        {
            known.From.Address.TryWriteBytes(header.AsSpan(V2FixedLength), out _);
            known.To.Address.TryWriteBytes(header.AsSpan(V2FixedLength + addressLength), out _);
            BinaryPrimitives.WriteUInt16BigEndian(
                header.AsSpan(V2FixedLength + (2 * addressLength)), (ushort)known.From.Port);
            BinaryPrimitives.WriteUInt16BigEndian(
                header.AsSpan(V2FixedLength + (2 * addressLength) + sizeof(ushort)), (ushort)known.To.Port);
        }
        return header;
    }

    private static ProxyHeader ReadV1(ReadOnlySpan<byte> bytes)
    {
        if (!bytes.StartsWith(V1Signature[..Math.Min(bytes.Length, V1Signature.Length)]))
        {
            return s_invalid;
        }
        var window = bytes[..Math.Min(bytes.Length, V1MaximumLength)];
        var end = window.IndexOf("\r\n"u8);
        if (end < 0)
        {
            return window.Length < V1MaximumLength ? s_incomplete : s_invalid;
        }
        var length = end + 2;
        var words = window[V1Signature.Length..end];
        var family = Word(ref words);
        if (family.SequenceEqual("UNKNOWN"u8))
        {
            return new(ProxyHeaderStatus.Local, length);
        }
        var wanted = family.SequenceEqual("TCP4"u8) ? AddressFamily.InterNetwork
            : family.SequenceEqual("TCP6"u8) ? AddressFamily.InterNetworkV6
            : AddressFamily.Unknown;
        return TryAddress(Word(ref words), wanted, out var source)
            && TryAddress(Word(ref words), wanted, out var destination)
            && TryPort(Word(ref words), out var sourcePort) && TryPort(Word(ref words), out var destinationPort)
            && words.IsEmpty
            ? new(ProxyHeaderStatus.Proxied, length, new(source, sourcePort), new(destination, destinationPort))
            : s_invalid;
    }

    private static ProxyHeader ReadV2(ReadOnlySpan<byte> bytes)
    {
        if (!bytes.StartsWith(V2Signature[..Math.Min(bytes.Length, V2Signature.Length)]))
        {
            return s_invalid;
        }
        if (bytes.Length < V2FixedLength)
        {
            return s_incomplete;
        }
        int command = bytes[12], family = bytes[13] >> 4, body = BinaryPrimitives.ReadUInt16BigEndian(bytes[14..]);
        var length = V2FixedLength + body;
        if (command is not (0x20 or 0x21) || length > V2MaximumLength)
        {
            return s_invalid;
        }
        if (bytes.Length < length)
        {
            return s_incomplete;
        }
        var addresses = bytes[V2FixedLength..length];
        return (command, family) switch
        {
            (0x20, _) => new(ProxyHeaderStatus.Local, length),
            (_, 1) => body < AddressPairV4 ? s_invalid : Pair(addresses, 4, length),
            (_, 2) => body < AddressPairV6 ? s_invalid : Pair(addresses, 16, length),
            _ => new(ProxyHeaderStatus.Local, length),   // unspecified, or a Unix domain socket
        };
    }

    private static ProxyHeader Pair(ReadOnlySpan<byte> bytes, int size, int length) => new(
        ProxyHeaderStatus.Proxied,
        length,
        new(new IPAddress(bytes[..size]), BinaryPrimitives.ReadUInt16BigEndian(bytes[(2 * size)..])),
        new(new IPAddress(bytes.Slice(size, size)),
            BinaryPrimitives.ReadUInt16BigEndian(bytes[((2 * size) + sizeof(ushort))..])));

    private static ReadOnlySpan<byte> Word(ref ReadOnlySpan<byte> words)
    {
        var space = words.IndexOf((byte)' ');
        var word = space < 0 ? words : words[..space];
        words = space < 0 ? default : words[(space + 1)..];
        return word;
    }

    private static bool TryAddress(ReadOnlySpan<byte> text, AddressFamily family, out IPAddress address)
    {
        // Without this, "1" and "0x7f.1" would be addresses too.
        var isPlain = family == AddressFamily.InterNetwork ? text.Count((byte)'.') == 3 : text.Contains((byte)':');
        Span<char> chars = stackalloc char[V1MaximumLength];
        var length = Encoding.ASCII.GetChars(text, chars);
        var isAddress = IPAddress.TryParse(chars[..length], out var parsed);
        address = parsed ?? IPAddress.None;
        return isPlain && isAddress && address.AddressFamily == family;
    }

    private static bool TryPort(ReadOnlySpan<byte> text, out ushort port) =>
        Utf8Parser.TryParse(text, out port, out var used) && used == text.Length;

    private static IPEndPoint Plain(IPEndPoint point) =>
        point.Address.IsIPv4MappedToIPv6 ? new(point.Address.MapToIPv4(), point.Port) : point;
}
