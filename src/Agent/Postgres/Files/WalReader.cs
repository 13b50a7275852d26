using System.Buffers.Binary;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Files;

/// <summary>Walks the records in the files of <c>pg_wal</c>, from one that is known to where they end.</summary>
/// <remarks>
/// The layout is that of src/include/access/xlog_internal.h and xlogrecord.h for 64-bit little-endian machines; it is
/// the same for PostgreSQL 13 to 18. A record counts when its length, its link to the record before it and its checksum
/// are right: what PostgreSQL itself would replay. Pages are told apart from those of an earlier use of the file by the
/// address that they carry.
/// </remarks>
internal sealed class WalReader : IDisposable
{
    private const int PageSize = 8192;
    private const int ShortHeader = 24;
    private const int LongHeader = 40;
    private const int RecordHeader = 24;
    private const ushort IsContinued = 0x0001;
    private const ushort IsLong = 0x0002;
    private const ushort OverwritesPart = 0x0008;
    private const ulong LookedThrough = 2 * 1024 * 1024;
    private const byte XlogManager = 0;
    private const byte SwitchRecord = 0x40;

    /// <summary>PostgreSQL refuses longer records (XLogRecordMaxSize is a little less than 1 GiB).</summary>
    private const uint LongestRecord = 1024 * 1024 * 1024;

    private readonly WalFiles _files;
    private readonly ulong _systemId;
    private readonly uint _segmentSize;
    private readonly byte[] _page = new byte[PageSize];
    private byte[] _record = new byte[PageSize];
    private ulong _pageAddress = ulong.MaxValue;
    private ushort _magic;

    /// <summary>A reader of the WAL of one data directory.</summary>
    /// <param name="files">Its segments.</param>
    /// <param name="systemId">The system identifier that the segments have to carry.</param>
    public WalReader(WalFiles files, ulong systemId) =>
        (_files, _systemId, _segmentSize) = (files, systemId, files.SegmentSize);

    /// <summary>The timeline of the file that the last record was read from.</summary>
    public uint Timeline { get; private set; }

    /// <summary>Where the last whole record ends; <paramref name="start"/> itself when there is none there.</summary>
    /// <param name="start">
    /// The position of a record that is known to have been written, such as the latest checkpoint's.
    /// </param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="IOException">A file could not be read.</exception>
    public Lsn EndFrom(Lsn start, CancellationToken cancellationToken)
    {
        var position = start.Value;
        ulong? previous = null;
        while (ReadRecord(ref position, ref previous) is { } next)
        {
            cancellationToken.ThrowIfCancellationRequested();
            position = next;
        }
        return new Lsn(position);
    }

    /// <summary>
    /// When the first transaction ended whose end stands in a segment; null: none does in its first two megabytes, or
    /// the segment is not here.
    /// </summary>
    /// <param name="segment">Where the segment begins.</param>
    /// <exception cref="IOException">A file could not be read.</exception>
    public DateTimeOffset? FirstMomentIn(Lsn segment)
    {
        if (FirstRecordIn(segment.Value) is not { } position)
        {
            return null;
        }
        ulong? previous = null;
        while (position < segment.Value + LookedThrough && ReadRecord(ref position, ref previous) is { } next)
        {
            if (WalMoment.Of(_record) is { } moment)
            {
                return moment;
            }
            position = next;
        }
        return null;
    }

    public void Dispose() => _files.Dispose();

    /// <summary>Behind what a record of the segment before has left over.</summary>
    private ulong? FirstRecordIn(ulong page)
    {
        while (LoadPage(page))
        {
            var rest = (Info & IsContinued) == 0 ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(_page.AsSpan(16));
            if (rest < PageSize - HeaderLength)
            {
                return page + (((ulong)HeaderLength + rest + 7) & ~7UL);
            }
            page += PageSize;
        }
        return null;
    }

    /// <summary>Reads the record at a position.</summary>
    /// <param name="position">In: where; out: the same, less the header of a page that begins there.</param>
    /// <param name="previous">
    /// In: where the record before begins, null when unknown; out: where this one begins.
    /// </param>
    /// <returns>Where it ends; null when there is no whole record.</returns>
    private ulong? ReadRecord(ref ulong position, ref ulong? previous)
    {
        var at = position;
        if (at % PageSize == 0)
        {
            if (!LoadPage(at))
            {
                return null;
            }
            at += (ulong)HeaderLength;
        }
        while (true)
        {
            switch (Assemble(at, previous, out var end))
            {
                case Outcome.Whole:
                    previous = at;
                    return end;
                case Outcome.Overwritten:
                    // A crash left half a record, and what was written next begins on the page after it.
                    (at, previous) = (_pageAddress + (ulong)HeaderLength, null);
                    break;
                default:
                    return null;
            }
        }
    }

    private enum Outcome
    {
        Whole,
        None,
        Overwritten,
    }

    private Outcome Assemble(ulong at, ulong? previous, out ulong end)
    {
        end = 0;
        if (!LoadPage(at - (at % PageSize)))
        {
            return Outcome.None;
        }
        var timeline = _files.Timeline;
        var offset = (int)(at % PageSize);
        var length = BinaryPrimitives.ReadUInt32LittleEndian(_page.AsSpan(offset));
        if (length is < RecordHeader or > LongestRecord)
        {
            return Outcome.None;
        }
        // The link is looked at before the rest of a long record is: what an earlier use of the file left has an old
        // one.
        var have = (int)Math.Min(length, (uint)(PageSize - offset));
        if (have >= 16 && previous is { } link
            && BinaryPrimitives.ReadUInt64LittleEndian(_page.AsSpan(offset + 8)) != link)
        {
            return Outcome.None;
        }
        if (_record.Length < length)
        {
            _record = new byte[Math.Max(length, _record.Length * 2)];
        }
        _page.AsSpan(offset, have).CopyTo(_record);
        end = at + (ulong)have;
        while (have < length)
        {
            if (!LoadPage(end))
            {
                return Outcome.None;
            }
            if ((Info & OverwritesPart) != 0)
            {
                return Outcome.Overwritten;
            }
            if ((Info & IsContinued) == 0 || BinaryPrimitives.ReadUInt32LittleEndian(_page.AsSpan(16)) != length - have)
            {
                return Outcome.None;
            }
            var part = (int)Math.Min(length - have, (long)(PageSize - HeaderLength));
            _page.AsSpan(HeaderLength, part).CopyTo(_record.AsSpan(have));
            have += part;
            end += (ulong)(HeaderLength + part);
        }
        var record = _record.AsSpan(0, (int)length);
        if ((previous is { } before && BinaryPrimitives.ReadUInt64LittleEndian(record[8..]) != before)
            || !HasItsChecksum(record))
        {
            return Outcome.None;
        }
        end = (end + 7) & ~7UL;
        if (record[17] == XlogManager && (record[16] & 0xF0) == SwitchRecord && end % _segmentSize != 0)
        {
            end += _segmentSize - (end % _segmentSize);   // the rest of the segment is empty
        }
        Timeline = timeline;
        return Outcome.Whole;
    }

    /// <summary>The checksum covers what follows the header, and then the header up to itself.</summary>
    private static bool HasItsChecksum(ReadOnlySpan<byte> record) =>
        Crc32C.Of(record[RecordHeader..], record[..20]) == BinaryPrimitives.ReadUInt32LittleEndian(record[20..]);

    private ushort Info => BinaryPrimitives.ReadUInt16LittleEndian(_page.AsSpan(2));

    private int HeaderLength => (Info & IsLong) != 0 ? LongHeader : ShortHeader;

    /// <summary>Reads a page, if it is one of this place; false when there is none.</summary>
    private bool LoadPage(ulong address)
    {
        if (address == _pageAddress)
        {
            return true;
        }
        _pageAddress = ulong.MaxValue;
        if (!_files.TryRead(address, _page))
        {
            return false;
        }
        var magic = BinaryPrimitives.ReadUInt16LittleEndian(_page);
        var isFirst = address % _segmentSize == 0;
        if (magic == 0 || (_magic != 0 && magic != _magic)
            || BinaryPrimitives.ReadUInt64LittleEndian(_page.AsSpan(8)) != address
            || !_files.Knows(BinaryPrimitives.ReadUInt32LittleEndian(_page.AsSpan(4)))
            || ((Info & IsLong) != 0) != isFirst
            || (isFirst && BinaryPrimitives.ReadUInt64LittleEndian(_page.AsSpan(24)) != _systemId)
            || (isFirst && BinaryPrimitives.ReadUInt32LittleEndian(_page.AsSpan(32)) != _segmentSize))
        {
            return false;
        }
        (_magic, _pageAddress) = (magic, address);
        return true;
    }
}
