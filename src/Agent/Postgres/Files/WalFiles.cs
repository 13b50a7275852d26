using System.Collections.Immutable;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Routing.Ha.Rewind;

namespace Routing.Agent.Postgres.Files;

/// <summary>The segments in <c>pg_wal</c>, in the order in which PostgreSQL's recovery reads them.</summary>
/// <remarks>
/// Recovery goes to the newest timeline for which it finds a history file that its own timeline is an ancestor of. For
/// each segment it takes the file of the newest timeline that had begun by then, and never goes back to an older
/// timeline.
/// </remarks>
internal sealed class WalFiles : IDisposable
{
    private readonly string _directory;
    private readonly ImmutableArray<(uint Timeline, ulong FirstSegment)> _line;
    private SafeFileHandle? _file;
    private ulong _segment = ulong.MaxValue;

    private WalFiles(string directory, uint segmentSize, ImmutableArray<(uint, ulong)> line) =>
        (_directory, SegmentSize, _line) = (directory, segmentSize, line);

    /// <summary>Bytes per segment.</summary>
    public uint SegmentSize { get; }

    /// <summary>The timeline of the file that was read last.</summary>
    public uint Timeline { get; private set; }

    /// <summary>Finds the timelines that recovery would go through from a checkpoint on.</summary>
    /// <exception cref="IOException">A history file cannot be read.</exception>
    /// <exception cref="FormatException">A history file makes no sense.</exception>
    public static WalFiles Of(string dataDirectory, PgControl control)
    {
        var directory = Path.Combine(dataDirectory, "pg_wal");
        var line = ImmutableArray.Create((control.File.Timeline, 0UL));
        foreach (var timeline in HistoryFiles(directory).Where(timeline => timeline > control.File.Timeline).Order())
        {
            var history = ReadHistory(directory, timeline);
            var own = history.Where(ancestor => ancestor.Timeline == control.File.Timeline).ToList();
            if (own.Count == 0 || own[0].SwitchPoint < control.File.Checkpoint)
            {
                continue;   // another branch, or a number that is reserved
            }
            var later = history.Where(ancestor => ancestor.Timeline >= control.File.Timeline).ToList();
            line = [(control.File.Timeline, 0UL)];
            for (var i = 0; i < later.Count; i++)
            {
                var next = i + 1 < later.Count ? later[i + 1].Timeline : timeline;
                line = line.Add((next, later[i].SwitchPoint.Value / control.SegmentSize));
            }
        }
        return new WalFiles(directory, control.SegmentSize, line);
    }

    /// <summary>The segments of one timeline alone.</summary>
    public static WalFiles OfTimeline(string dataDirectory, uint segmentSize, uint timeline) =>
        new(Path.Combine(dataDirectory, "pg_wal"), segmentSize, [(timeline, 0UL)]);

    /// <summary>The ancestors of a timeline by its file in <c>pg_wal</c>.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="FormatException">It makes no sense.</exception>
    public static ImmutableArray<TimelineSwitch> ReadHistory(string walDirectory, uint timeline) =>
        TimelineHistoryFile.Parse(
        File.ReadAllText(
            Path.Combine(walDirectory, string.Create(CultureInfo.InvariantCulture, $"{timeline:X8}.history"))));

    /// <summary>Whether pages of this timeline may stand in these files.</summary>
    public bool Knows(uint timeline) => timeline > 0 && timeline <= _line[^1].Timeline;

    /// <summary>Reads from a place in the WAL; false when no file holds it.</summary>
    /// <exception cref="IOException">A file could not be read.</exception>
    public bool TryRead(ulong address, Span<byte> into)
    {
        var segment = address / SegmentSize;
        if (segment != _segment && !TryOpen(segment))
        {
            return false;
        }
        return RandomAccess.Read(_file!, into, (long)(address % SegmentSize)) == into.Length;
    }

    public void Dispose() => _file?.Dispose();

    private bool TryOpen(ulong segment)
    {
        var least = Timeline;
        foreach (var (timeline, firstSegment) in _line.Reverse())
        {
            if (timeline < least || segment < firstSegment)
            {
                continue;
            }
            var perId = 0x1_0000_0000UL / SegmentSize;
            var name =
                string.Create(CultureInfo.InvariantCulture, $"{timeline:X8}{segment / perId:X8}{segment % perId:X8}");
            try
            {
                var file = File.OpenHandle(
                    Path.Combine(_directory, name), FileMode.Open, FileAccess.Read,
                    FileShare.ReadWrite | FileShare.Delete);
                _file?.Dispose();
                (_file, _segment, Timeline) = (file, segment, timeline);
                return true;
            }
            catch (FileNotFoundException)
            {
                // An older timeline may have it.
            }
        }
        return false;
    }

    private static IEnumerable<uint> HistoryFiles(string directory) =>
        from path in Directory.EnumerateFiles(directory, "*.history")
        let name = Path.GetFileNameWithoutExtension(path)
        where name.Length == 8
            && uint.TryParse(name, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _)
        select uint.Parse(name, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
