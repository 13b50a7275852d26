using System.Buffers.Binary;

namespace Routing.Proxy.Wire;

/// <summary>A request to cancel what a session runs; comes on a connection of its own.</summary>
internal static class CancelRequest
{
    private const int HeaderLength = 12;

    /// <summary>
    /// Whether a packet of this length can be one: a key has 4 bytes in protocol 3.0, and up to 256 since 3.2.
    /// </summary>
    public static bool IsLength(int length) =>
        length is >= HeaderLength + BackendKey.MinimumSecretLength and <= HeaderLength + BackendKey.MaximumSecretLength;

    /// <summary>A whole packet that names a key.</summary>
    public static byte[] PacketOf(in BackendKey key)
    {
        var packet = new byte[HeaderLength + key.SecretLength];
        BinaryPrimitives.WriteInt32BigEndian(packet, packet.Length);
        BinaryPrimitives.WriteInt32BigEndian(packet.AsSpan(4), FirstPacket.CancelRequestCode);
        BinaryPrimitives.WriteInt32BigEndian(packet.AsSpan(8), key.Pid);
        key.CopySecretTo(packet.AsSpan(HeaderLength));
        return packet;
    }

    /// <summary>The key that a whole packet names.</summary>
    public static BackendKey KeyOf(ReadOnlySpan<byte> packet) =>
        new(BinaryPrimitives.ReadInt32BigEndian(packet[8..]), packet[HeaderLength..]);
}
