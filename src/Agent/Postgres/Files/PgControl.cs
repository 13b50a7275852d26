using System.Buffers.Binary;
using System.Globalization;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres.Files;

/// <summary>global/pg_control: what the data directory says of itself, whether a server runs on it or not.</summary>
/// <remarks>
/// Read from the file instead of through pg_controldata: it costs microseconds, so that a stop or a promotion can be
/// followed by looking every few milliseconds. The layout is that of src/include/catalog/pg_control.h for 64-bit
/// little-endian machines; it is the same for PostgreSQL 13 to 18 but for the place of the checksum.
/// </remarks>
/// <param name="File">The part that the decision needs.</param>
/// <param name="ControlVersion">pg_control version number: 1300, 1700 or 1800.</param>
/// <param name="Redo">Latest checkpoint's REDO location.</param>
/// <param name="SegmentSize">Bytes per WAL segment.</param>
/// <param name="BackupStart">Backup start location; not 0/0 while a restored backup is not consistent yet.</param>
/// <param name="MaxConnections">max_connections at the last change.</param>
/// <param name="MaxWorkerProcesses">max_worker_processes.</param>
/// <param name="MaxWalSenders">max_wal_senders.</param>
/// <param name="MaxPreparedTransactions">max_prepared_transactions.</param>
/// <param name="MaxLocksPerTransaction">max_locks_per_transaction.</param>
internal sealed record PgControl(
    ControlFile File, int ControlVersion, Lsn Redo, uint SegmentSize, Lsn BackupStart, int MaxConnections,
    int MaxWorkerProcesses, int MaxWalSenders, int MaxPreparedTransactions, int MaxLocksPerTransaction)
{
    private const int MaximumLength = 296;
    private const int ReadAttempts = 5;
    private const int WalLevelMinimal = 0;
    private const int WalPage = 8192;
    private const int ShortPageHeader = 24;
    private const int LongPageHeader = 40;

    /// <summary>
    /// Whether the server ran with <c>wal_level</c> <c>minimal</c> when it last noted the level: no standby starts on
    /// its WAL.
    /// </summary>
    public bool IsWalMinimal { get; private init; }

    /// <summary>A shutdown checkpoint's record: 24 bytes of header, 2 in front of the data, 88 of data.</summary>
    private const ulong CheckpointRecordLength = 114;

    /// <summary>
    /// Where the record of the latest checkpoint ends: a standby that has all of a clean shutdown is there.
    /// </summary>
    public Lsn EndOfCheckpointRecord
    {
        get
        {
            var position = File.Checkpoint.Value;
            var left = CheckpointRecordLength;
            while (true)
            {
                var room = WalPage - (position % WalPage);
                if (left <= room)
                {
                    return new Lsn((position + left + 7) & ~7UL);
                }
                left -= room;
                position += room;
                position += position % SegmentSize == 0 ? (ulong)LongPageHeader : ShortPageHeader;
            }
        }
    }

    /// <summary>Reads the file of a data directory.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="InvalidDataException">It is damaged, or of a version that we do not know.</exception>
    public static PgControl Read(string dataDirectory)
    {
        var path = Path.Combine(dataDirectory, "global", "pg_control");
        Span<byte> buffer = stackalloc byte[MaximumLength];
        for (var attempt = 1; ; attempt++)
        {
            // The server overwrites the file in place: a torn read shows by its checksum, and the next one is whole.
            int length;
            using (var handle = System.IO.File.OpenHandle(
                path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete))
            {
                length = RandomAccess.Read(handle, buffer, 0);
            }
            try
            {
                return Parse(buffer[..length]);
            }
            catch (InvalidDataException) when (attempt < ReadAttempts)
            {
            }
        }
    }

    /// <summary>Reads the file's bytes.</summary>
    /// <exception cref="InvalidDataException">They are damaged, or of a version that we do not know.</exception>
    public static PgControl Parse(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < MaximumLength)
        {
            throw new InvalidDataException($"pg_control has {bytes.Length} bytes, fewer than any version writes.");
        }
        var version = Int32(bytes, 8);
        var checksumAt = version switch
        {
            1300 or 1700 => 288,
            1800 => 292,
            _ => throw new InvalidDataException(string.Create(
                CultureInfo.InvariantCulture,
                $"pg_control has version {version}; PostgreSQL 13 to 18 write 1300, 1700 or 1800.")),
        };
        if (Crc32C.Of(bytes[..checksumAt]) != UInt32(bytes, checksumAt))
        {
            throw new InvalidDataException("pg_control does not match its checksum.");
        }
        var file = new ControlFile(
            BinaryPrimitives.ReadUInt64LittleEndian(bytes).ToString(CultureInfo.InvariantCulture),
            State(Int32(bytes, 16)), UInt32(bytes, 48), Position(bytes, 32), Position(bytes, 136), UInt32(bytes, 144),
            UInt32(bytes, 252) != 0, bytes[176] != 0);
        return new PgControl(
            file, version, Position(bytes, 40), UInt32(bytes, 228), Position(bytes, 152), Int32(bytes, 180),
            Int32(bytes, 184),
            Int32(bytes, 188), Int32(bytes, 192), Int32(bytes, 196))
        {
            IsWalMinimal = Int32(bytes, 172) == WalLevelMinimal,
        };
    }

    private static ControlState State(int value) => value switch
    {
        0 => ControlState.StartingUp,
        1 => ControlState.ShutDown,
        2 => ControlState.ShutDownInRecovery,
        3 => ControlState.ShuttingDown,
        4 => ControlState.InCrashRecovery,
        5 => ControlState.InArchiveRecovery,
        6 => ControlState.InProduction,
        _ => ControlState.Unknown,
    };

    private static int Int32(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadInt32LittleEndian(bytes[at..]);

    private static uint UInt32(ReadOnlySpan<byte> bytes, int at) =>
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);

    private static Lsn Position(ReadOnlySpan<byte> bytes, int at) =>
        new(BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..]));
}
