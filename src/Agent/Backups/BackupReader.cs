using System.Globalization;
using System.Text.Json;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Native;

namespace Routing.Agent.Backups;

/// <summary>Asks pgBackRest what the repository holds, and the local server how its archiver does.</summary>
/// <param name="settings">The settings in force.</param>
/// <param name="archiver">Asks the local server; null: it does not answer.</param>
/// <param name="time">For the age of an answer.</param>
internal sealed class BackupReader(
    Func<PgBackRestSettings?> settings, Func<CancellationToken, Task<string?>> archiver, TimeProvider time)
    : IAsyncDisposable
{
    /// <summary>One row, its columns parted by bars.</summary>
    public const string ArchiverQuery =
        """
        SELECT concat_ws('|', NOT pg_is_in_recovery(), current_setting('archive_mode') <> 'off',
            coalesce(last_archived_wal, ''), coalesce(last_failed_wal, ''),
            coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false), failed_count,
            (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'))
        FROM pg_stat_archiver
        """;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_freshEnough = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_betweenLooks = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly CancellationTokenSource _end = new();
    private readonly CommandRunner _commands = new(time);
    private Answer? _last;
    private Task _look = Task.CompletedTask;

    /// <summary>Asks, unless the last answer is new: each time a program runs, and any client may ask.</summary>
    public async Task<BackupReport> ReadAsync(CancellationToken cancellationToken)
    {
        if (settings() is not { } repository)
        {
            return new BackupReport();
        }
        await _gate.WaitAsync(cancellationToken);
        try
        {
            if (Last(repository) is { } last && time.GetElapsedTime(last.At) < s_freshEnough)
            {
                return last.Report;
            }
            // First the archiver: what it has archived has to be in the repository afterwards.
            var archived = await AskArchiverAsync(cancellationToken);
            var report = await AskAsync(repository, cancellationToken) with
            {
                Stanza = repository.Stanza,
                MaximumAge = repository.MaximumAge,
                Archiver = archived,
            };
            report = await LookThroughAsync(repository, report, cancellationToken);
            Volatile.Write(ref _last, new Answer(time.GetTimestamp(), report));
            return report;
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>
    /// What was known last, at once; null: nothing yet, or there is no repository. What is older than a minute is asked
    /// for anew meanwhile.
    /// </summary>
    public BackupReport? Recall()
    {
        if (settings() is not { } repository)
        {
            return null;
        }
        var last = Last(repository);
        lock (_lock)
        {
            if (_look.IsCompleted && !_end.IsCancellationRequested
                && (last is null || time.GetElapsedTime(last.At) >= s_betweenLooks))
            {
                _look = ReadAsync(_end.Token);
            }
        }
        return last?.Report;
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        Task look;
        lock (_lock)
        {
            look = _look;
        }
        await look.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _gate.Dispose();
        _end.Dispose();
    }

    /// <summary>What <c>pgbackrest info --output=json</c> says.</summary>
    internal static BackupReport Parse(string json, string stanza)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var found = document.RootElement.EnumerateArray()
                .FirstOrDefault(one => one.GetProperty("name").GetString() == stanza);
            if (found.ValueKind != JsonValueKind.Object)
            {
                return new BackupReport { Problem = $"the repository has no stanza {stanza}: create it" };
            }
            var status = found.GetProperty("status");
            var code = status.GetProperty("code").GetInt32();
            const int noBackup = 2;
            var archives = found.TryGetProperty("archive", out var list) ? list.EnumerateArray().ToList() : [];
            var wal = archives.Count > 0 ? Wal(archives[^1]) : null;
            return new BackupReport
            {
                Problem = code is 0 or noBackup
                    ? null
                    : $"the stanza {stanza} cannot be used: {status.GetProperty("message").GetString()}",
                Backups = found.TryGetProperty("backup", out var backups)
                    ? [.. backups.EnumerateArray().Select(BackupOf)]
                    : [],
                Wal = wal,
                ArchiveId = archives.Count > 0 && archives[^1].TryGetProperty("id", out var id) ? id.GetString() : null,
            };
        }
        catch (Exception problem) when (problem is JsonException or KeyNotFoundException or InvalidOperationException
            or FormatException)
        {
            return new BackupReport { Problem = $"the answer of pgbackrest info cannot be read: {problem.Message}" };
        }
    }

    /// <summary>A row of <see cref="ArchiverQuery"/>.</summary>
    internal static ArchiverReport? ParseArchiver(string? row) => row?.Split('|') is [var primary, var on, var last,
        var failed, var fails, var failures, var size]
        ? new ArchiverReport(
            primary == "t", on == "t", last.Length > 0 ? last : null, failed.Length > 0 ? failed : null, fails == "t",
            Whole(failures), Whole(size))
        : null;

    private static long Whole(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;

    private static (string, string)? Wal(JsonElement archive) =>
        archive.TryGetProperty("min", out var first) && archive.TryGetProperty("max", out var last)
            && first.GetString() is { } begin && last.GetString() is { } end
            ? (begin, end)
            : null;

    private static Backup BackupOf(JsonElement backup)
    {
        var times = backup.GetProperty("timestamp");
        return new Backup(
            backup.GetProperty("label").GetString() ?? "",
            backup.GetProperty("type").GetString() ?? "",
            DateTimeOffset.FromUnixTimeSeconds(times.GetProperty("start").GetInt64()),
            DateTimeOffset.FromUnixTimeSeconds(times.GetProperty("stop").GetInt64()),
            backup.TryGetProperty("lsn", out var lsn) && lsn.TryGetProperty("stop", out var stop)
                ? stop.GetString()
                : null,
            backup.TryGetProperty("archive", out var archive) && archive.TryGetProperty("stop", out var wal)
                ? wal.GetString()
                : null,
            backup.TryGetProperty("info", out var info) && info.TryGetProperty("size", out var size)
                ? size.GetInt64()
                : 0,
            backup.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.True)
        {
            StartWal = backup.TryGetProperty("archive", out var range) && range.TryGetProperty("start", out var begin)
                ? begin.GetString()
                : null,
        };
    }

    private Answer? Last(PgBackRestSettings repository) =>
        Volatile.Read(ref _last) is { } last && last.Report.Stanza == repository.Stanza ? last : null;

    private async Task<BackupReport> AskAsync(PgBackRestSettings repository, CancellationToken cancellationToken)
    {
        var (text, problem) = await RunAsync(repository, "info", ["--output=json"], cancellationToken);
        return problem is null ? Parse(text, repository.Stanza) : new BackupReport { Problem = problem };
    }

    /// <summary>Looks for a gap in the WAL that comes with the last backup and after it.</summary>
    private async Task<BackupReport> LookThroughAsync(
        PgBackRestSettings repository, BackupReport report, CancellationToken cancellationToken)
    {
        if (report is not
            {
                Problem: null, ArchiveId: { } archive, Archiver: { IsPrimary: true, SegmentBytes: > 0 and var size },
                Backups: [.., { StartWal: { } first }],
            })
        {
            return report;
        }
        var (text, problem) = await RunAsync(
            repository, "repo-ls", ["--recurse", $"archive/{repository.Stanza}/{archive}"], cancellationToken);
        return problem is null
            ? report with { WalGap = WalSegments.FirstGap([.. WalSegments.InListing(text)], first, size) }
            : report with { WalProblem = problem };
    }

    private async Task<(string Text, string? Problem)> RunAsync(
        PgBackRestSettings repository, string what, string[] arguments, CancellationToken cancellationToken)
    {
        string[] words =
            [.. repository.Words, "--log-level-console=off", "--log-level-stderr=error", "--log-level-file=off", what,
                .. arguments];
        try
        {
            var answer = await _commands.CaptureAsync(
                new Command(words[0], [.. words.Skip(1)]) { Timeout = s_limit }, cancellationToken);
            return answer.Result.IsSuccess
                ? (answer.Output, null)
                : ("", $"pgbackrest {what} failed with {answer.Result}: {answer.Error.ReplaceLineEndings(" ")}");
        }
        catch (IOException problem)
        {
            return ("", $"pgbackrest cannot be run: {problem.Message}");
        }
    }

    private async Task<ArchiverReport?> AskArchiverAsync(CancellationToken cancellationToken)
    {
        try
        {
            return ParseArchiver(await archiver(cancellationToken));
        }
        catch (Exception silent) when (silent is NpgsqlException or IOException or TimeoutException)
        {
            return null;
        }
    }

    private sealed record Answer(long At, BackupReport Report);
}
