using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Files;

/// <summary>A slot's state file: <c>pg_replslot/NAME/state</c>.</summary>
/// <remarks>
/// A server that finds a file with an error there does not start, so every file is checked as the server does before it
/// is written. The layout is that of src/backend/replication/slot.c and src/include/replication/slot.h for
/// little-endian machines; the part that is read here is the same for PostgreSQL 13 to 18.
/// </remarks>
/// <param name="Name">The slot's name.</param>
/// <param name="Database">The object identifier of its database; 0: a physical slot.</param>
/// <param name="IsPersistent">It outlives a restart.</param>
/// <param name="CatalogXmin">The oldest transaction whose catalog rows it needs; 0: none.</param>
/// <param name="RestartLsn">The oldest WAL that it needs; 0/0: none, for example because it was invalidated.</param>
internal sealed record SlotState(string Name, uint Database, bool IsPersistent, uint CatalogXmin, Lsn RestartLsn)
{
    private const uint Magic = 0x1051CA1;
    private const int HeaderLength = 16;
    private const int ChecksumBegins = 8;
    private const int NameLength = 64;
    private const int ReadLength = HeaderLength + NameLength + 24;

    /// <summary>Longer than any version's file.</summary>
    public const int MaximumLength = 4096;

    /// <summary>Reads and checks a file's content.</summary>
    /// <exception cref="InvalidDataException">It is no state file, or a damaged one.</exception>
    public static SlotState Parse(ReadOnlySpan<byte> content)
    {
        if (content.Length < ReadLength)
        {
            throw new InvalidDataException($"the state file has only {content.Length} bytes");
        }
        var magic = Number(content, 0);
        if (magic != Magic)
        {
            throw new InvalidDataException(string.Create(
                CultureInfo.InvariantCulture, $"the state file begins with {magic:X8} instead of {Magic:X8}"));
        }
        var length = Number(content, 12);
        if (length != content.Length - HeaderLength)
        {
            throw new InvalidDataException(
                $"the state file speaks of {length} bytes and holds {content.Length - HeaderLength}");
        }
        if (Number(content, 4) != Crc32C.Of(content[ChecksumBegins..]))
        {
            throw new InvalidDataException("the checksum of the state file is wrong");
        }
        var slot = content[HeaderLength..];
        var end = slot[..NameLength].IndexOf((byte)0);
        return new SlotState(
            Encoding.ASCII.GetString(slot[..(end < 0 ? NameLength : end)]), Number(slot, NameLength),
            Number(slot, NameLength + 4) == 0, Number(slot, NameLength + 12),
            new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(slot[(NameLength + 16)..])));
    }

    private static uint Number(ReadOnlySpan<byte> bytes, int at) =>
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);
}
