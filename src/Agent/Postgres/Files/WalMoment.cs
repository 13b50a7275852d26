using System.Buffers.Binary;

namespace Routing.Agent.Postgres.Files;

/// <summary>The time in a WAL record that ends a transaction.</summary>
/// <remarks>
/// The layout is that of src/include/access/xlogrecord.h and xact.h: a header of 24 bytes, short headers that each
/// begin with a number of their own, and then the data, here with the time first. Such records change no page.
/// </remarks>
internal static class WalMoment
{
    private const int RecordHeader = 24;
    private const byte TransactionManager = 1;
    private const byte OperationMask = 0x70;

    private static readonly DateTimeOffset s_epoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>The time of a commit or an abort; null: the record is neither.</summary>
    /// <param name="record">The record, with at least its whole length.</param>
    public static DateTimeOffset? Of(ReadOnlySpan<byte> record)
    {
        var length = (int)BinaryPrimitives.ReadUInt32LittleEndian(record);
        // Commit, abort, and both of a prepared transaction.
        if (record[17] != TransactionManager || (record[16] & OperationMask) is not (0x00 or 0x20 or 0x30 or 0x40))
        {
            return null;
        }
        var at = RecordHeader;
        while (at < length)
        {
            switch (record[at])
            {
                case 253:   // the origin of a replicated transaction
                    at += 3;
                    break;
                case 252:   // the transaction that a subtransaction belongs to
                    at += 5;
                    break;
                case 255:   // data, with a length of one byte
                    return Read(record[..length], at + 2);
                case 254:   // data, with a length of four bytes
                    return Read(record[..length], at + 5);
                default:
                    return null;
            }
        }
        return null;
    }

    private static DateTimeOffset? Read(ReadOnlySpan<byte> record, int at)
    {
        if (at + 8 > record.Length)
        {
            return null;
        }
        var microseconds = BinaryPrimitives.ReadInt64LittleEndian(record[at..]);
        // Nobody's clock was that far off; what is not a time must not end in an exception.
        return microseconds is > 0 and < 3_000_000_000_000_000 ? s_epoch.AddMicroseconds(microseconds) : null;
    }
}
