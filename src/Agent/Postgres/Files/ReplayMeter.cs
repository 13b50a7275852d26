using System.Globalization;
using System.Text.RegularExpressions;
using Routing.Agent.Native;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres.Files;

/// <summary>Measures how far a server has replayed that answers no question yet.</summary>
/// <remarks>
/// The start-up process names the segment that it reads in its title (<c>update_process_title</c>, on by default), and
/// the segment holds the times of its transactions, whether it stood here or came from an archive.
/// </remarks>
internal sealed partial class ReplayMeter
{
    private readonly string _dataDirectory;
    private readonly TimeProvider _time;
    private readonly CopyRate _rate;
    private readonly PgControl _control;
    private ReplayedWal _wal;
    private string? _segment;
    private long _since;

    /// <summary>Begins with a server that is about to replay.</summary>
    /// <param name="dataDirectory">Its data directory.</param>
    /// <param name="time">For the rate.</param>
    /// <exception cref="IOException">Its files cannot be read.</exception>
    /// <exception cref="InvalidDataException">They are damaged.</exception>
    public ReplayMeter(string dataDirectory, TimeProvider time)
    {
        (_dataDirectory, _time, _rate) = (dataDirectory, time, new CopyRate(time));
        // PostgreSQL notes the beginning in pg_control before it takes a backup's label away.
        var label = StartOfBackup(Path.Combine(dataDirectory, "backup_label"));
        _control = PgControl.Read(dataDirectory);
        var from = label ?? _control.Redo;
        _wal = new ReplayedWal(from, from);
    }

    /// <summary>Where replay ends, where that is known.</summary>
    public void EndAt(Lsn? position, DateTimeOffset? moment) =>
        _wal = _wal with { End = position, EndMoment = moment };

    /// <summary>How far it is by the title of the start-up process; null: that does not tell.</summary>
    /// <param name="postmaster">The server's process id.</param>
    public CopyProgress? Look(int postmaster)
    {
        if (SegmentOf(postmaster) is not { } segment)
        {
            return null;
        }
        var timeline = Hex(segment, 0);
        var begin = new Lsn(((ulong)Hex(segment, 8) << 32) + ((ulong)Hex(segment, 16) * _control.SegmentSize));
        var moment = _wal.AtMoment;
        if (segment != _segment)
        {
            _segment = segment;
            moment = MomentIn(timeline, begin) ?? moment;
        }
        return Told(Lsn.Max(begin, _wal.At), moment);
    }

    /// <summary>How far it is by the server's own word.</summary>
    public CopyProgress Told(Lsn at, DateTimeOffset? moment)
    {
        if (_wal.FromMoment is null && moment is not null)
        {
            _since = _time.GetTimestamp();
        }
        _wal = _wal with
        {
            At = at,
            FromMoment = _wal.FromMoment ?? moment,
            AtMoment = moment ?? _wal.AtMoment,
        };
        _wal = _wal with { Watched = _wal.FromMoment is null ? TimeSpan.Zero : _time.GetElapsedTime(_since) };
        var bytes = (long)at.BytesAheadOf(_wal.From);
        var total = _wal.End is { } end ? (long)end.BytesAheadOf(_wal.From) : 0;
        return new CopyProgress(bytes, total, _rate.After(bytes)) { Wal = _wal };
    }

    /// <summary>
    /// The segment in a title such as <c>postgres: pay: startup recovering 000000010000000000000003</c>.
    /// </summary>
    internal static string? SegmentIn(string title) =>
        Recovering().Match(title) is { Success: true } found ? found.Groups[1].Value : null;

    private static string? SegmentOf(int postmaster)
    {
        foreach (var child in ProcessStat.ChildrenOf(postmaster))
        {
            try
            {
                var title = File.ReadAllText($"/proc/{child.Pid.ToString(CultureInfo.InvariantCulture)}/cmdline");
                if (SegmentIn(title) is { } segment)
                {
                    return segment;
                }
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // It has ended meanwhile.
            }
        }
        return null;
    }

    private DateTimeOffset? MomentIn(uint timeline, Lsn segment)
    {
        try
        {
            using var reader = new WalReader(
                WalFiles.OfTimeline(_dataDirectory, _control.SegmentSize, timeline),
                ulong.Parse(_control.File.SystemId, CultureInfo.InvariantCulture));
            return reader.FirstMomentIn(segment);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;   // a segment that is gone by now; the next one tells
        }
    }

    private static Lsn? StartOfBackup(string label)
    {
        try
        {
            return StartLocation().Match(File.ReadAllText(label)) is { Success: true } found
                ? Lsn.Parse(found.Groups[1].Value)
                : null;
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    private static uint Hex(string name, int from) =>
        uint.Parse(name.AsSpan(from, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"\bstartup\s+(?:recovering|waiting for)\s+([0-9A-F]{24})", RegexOptions.CultureInvariant)]
    private static partial Regex Recovering();

    [GeneratedRegex("^START WAL LOCATION: ([0-9A-F]+/[0-9A-F]+) ",
        RegexOptions.CultureInvariant | RegexOptions.Multiline)]
    private static partial Regex StartLocation();
}
