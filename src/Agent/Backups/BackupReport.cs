using System.Collections.Immutable;

namespace Routing.Agent.Backups;

/// <summary>One backup in the repository.</summary>
/// <param name="Label">Its name there.</param>
/// <param name="Type"><c>full</c>, <c>diff</c> or <c>incr</c>.</param>
/// <param name="Start">When it was begun.</param>
/// <param name="Stop">When it ended: the earliest moment that it can be restored to.</param>
/// <param name="StopLsn">The earliest position that it can be restored to; null when unknown.</param>
/// <param name="StopWal">The last segment that belongs to it; its first eight digits are the timeline.</param>
/// <param name="Size">Bytes of the data directory.</param>
/// <param name="HasError">Pages with a wrong checksum were met.</param>
internal sealed record Backup(
    string Label, string Type, DateTimeOffset Start, DateTimeOffset Stop, string? StopLsn, string? StopWal, long Size,
    bool HasError)
{
    /// <summary>The first segment that belongs to it; null when unknown.</summary>
    public string? StartWal { get; init; }
}

/// <summary>What the repository holds, and how the archiver of the local server does.</summary>
internal sealed record BackupReport
{
    /// <summary>The stanza; null: there is no pgbackrest section.</summary>
    public string? Stanza { get; init; }

    /// <summary>Why the repository cannot be used, in one sentence; null: it can.</summary>
    public string? Problem { get; init; }

    /// <summary>A last backup that is older is too old.</summary>
    public TimeSpan MaximumAge { get; init; }

    /// <summary>The backups, the oldest first.</summary>
    public ImmutableArray<Backup> Backups { get; init; } = [];

    /// <summary>The oldest and the newest archived segment; null: there is none.</summary>
    public (string First, string Last)? Wal { get; init; }

    /// <summary>Names the part of the repository where WAL goes now, for example <c>15-1</c>; null: none.</summary>
    public string? ArchiveId { get; init; }

    /// <summary>The first segment from the last backup on that the repository lacks; null: none.</summary>
    public string? WalGap { get; init; }

    /// <summary>Why the WAL in the repository cannot be looked through; null: it can.</summary>
    public string? WalProblem { get; init; }

    /// <summary>The archiver of the local server; null while it does not answer.</summary>
    public ArchiverReport? Archiver { get; init; }

    /// <summary>
    /// A segment that this primary's server has archived, and that the repository lacks. Null: none. What comes after
    /// the segment that was archived last may be on its way, in any order.
    /// </summary>
    public string? MissingWal => Archiver is not { IsPrimary: true, Last: { } archived } ? null
        : WalGap is { } gap && string.CompareOrdinal(gap, archived) <= 0 ? gap
        : WalSegments.IsName(archived) && string.CompareOrdinal(archived, Wal?.Last ?? "") > 0 ? archived
        : null;
}

/// <summary>The archiver, by <c>pg_stat_archiver</c>.</summary>
/// <param name="IsPrimary">A standby archives nothing, by default.</param>
/// <param name="IsOn"><c>archive_mode</c>.</param>
/// <param name="Last">The segment that was archived last; null: none.</param>
/// <param name="Failed">The segment whose archiving failed last; null: none.</param>
/// <param name="FailsNow">The last attempt failed.</param>
/// <param name="Failures">Failed attempts since the statistics were reset.</param>
/// <param name="SegmentBytes">The size of a segment of WAL.</param>
internal sealed record ArchiverReport(
    bool IsPrimary, bool IsOn, string? Last, string? Failed, bool FailsNow, long Failures, long SegmentBytes);
