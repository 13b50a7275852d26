using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Backups;
using Routing.Agent.Config;
using Routing.Agent.Tests.Native;
using Routing.TestKit;

namespace Routing.Agent.Tests.Backups;

/// <summary>What <c>pgbackrest info</c> and <c>pg_stat_archiver</c> say.</summary>
public sealed class BackupReaderTests
{
    private const string Info = """
        [{"archive":[{"database":{"id":1,"repo-key":1},"id":"15-1","max":"000000010000000000000006",
        "min":"000000010000000000000002"}],"backup":[{"archive":{"start":"000000010000000000000003",
        "stop":"000000010000000000000004"},"backrest":{"format":5,"version":"2.45"},"database":{"id":1,"repo-key":1},
        "error":false,"info":{"delta":23,"repository":{"delta":3,"size":3},"size":23456789},
        "label":"20261130-140000F","lsn":{"start":"0/3000028","stop":"0/4000050"},"prior":null,"reference":null,
        "timestamp":{"start":1796047200,"stop":1796047260},"type":"full"}],"cipher":"none",
        "db":[{"id":1,"repo-key":1,"system-id":7000000000000000001,"version":"15"}],"name":"pay",
        "status":{"code":0,"lock":{"backup":{"held":false}},"message":"ok"}}]
        """;

    [Fact]
    public void Backups_and_wal_are_read()
    {
        var report = BackupReader.Parse(Info, "pay");

        var backup = Assert.Single(report.Backups);
        Assert.Equal(
            ("20261130-140000F", "full", "0/4000050", "000000010000000000000004", 23456789L, false),
            (backup.Label, backup.Type, backup.StopLsn, backup.StopWal, backup.Size, backup.HasError));
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1796047260), backup.Stop);
        Assert.Equal(("000000010000000000000002", "000000010000000000000006"), report.Wal);
        Assert.Null(report.Problem);
    }

    [Theory]
    [InlineData("[]", "the repository has no stanza pay: create it")]
    [InlineData("{", "the answer of pgbackrest info cannot be read")]
    [InlineData("""[{"name":"pay","status":{"code":1,"message":"missing stanza path"}}]""",
        "the stanza pay cannot be used: missing stanza path")]
    public void What_is_wrong_is_said(string text, string problem) =>
        Assert.StartsWith(problem, BackupReader.Parse(text, "pay").Problem, StringComparison.Ordinal);

    [Fact]
    public void A_stanza_without_a_backup_is_usable()
    {
        var report = BackupReader.Parse(
            """[{"name":"pay","status":{"code":2,"message":"no valid backups"},"backup":[]}]""", "pay");

        Assert.Null(report.Problem);
        Assert.Empty(report.Backups);
    }

    [Fact]
    public void The_archiver_is_read()
    {
        Assert.Equal(
            new ArchiverReport(true, true, "000000010000000000000006", null, false, 2, 1 << 24),
            BackupReader.ParseArchiver("t|t|000000010000000000000006||f|2|16777216"));
        Assert.Equal(
            new ArchiverReport(true, true, null, "000000010000000000000007", true, 9, 1 << 26),
            BackupReader.ParseArchiver("t|t||000000010000000000000007|t|9|67108864"));
        Assert.Null(BackupReader.ParseArchiver(null));
    }

    [Theory]
    [InlineData("1-3 1-4 1-5", null)]
    [InlineData("1-1 1-3", null)]                 // what is older than the backup may have expired
    [InlineData("1-3 1-5", "000000010000000000000004")]
    [InlineData("1-4 1-5", "000000010000000000000003")]
    [InlineData("", "000000010000000000000003")]
    [InlineData("1-3 1-4 2-4 2-5", null)]         // a timeline begins in the middle of a segment
    [InlineData("1-3 1-4 2-5", null)]
    [InlineData("1-3 1-4 1-5 1-6 2-4 2-5", null)] // back in time
    [InlineData("1-3 2-5", "000000010000000000000004")]
    [InlineData("1-3 1-4 3-4 3-6", "000000030000000000000005")]
    public void A_gap_in_the_wal_is_found(string segments, string? gap) =>
        Assert.Equal(gap, WalSegments.FirstGap(
            segments.Split(' ', StringSplitOptions.RemoveEmptyEntries)
                .Select(one => $"0000000{one[0]}000000000000000{one[2]}"),
            "000000010000000000000003", 1 << 24));

    [Fact]
    public void The_number_of_a_segment_goes_on_in_the_next_log_by_its_size()
    {
        string[] small = ["0000000100000000000000FF", "000000010000000100000000"];
        string[] large = ["00000001000000000000003F", "000000010000000100000000"];

        Assert.Null(WalSegments.FirstGap(small, small[0], 1 << 24));
        Assert.Null(WalSegments.FirstGap(large, large[0], 1 << 26));
        Assert.Equal("000000010000000000000040", WalSegments.FirstGap(large, large[0], 1 << 24));
    }

    [Fact]
    public void The_listing_of_an_archive_has_other_files_too()
    {
        const string hash = "0123456789012345678901234567890123456789";
        Assert.Equal(
            ["000000010000000000000003", "000000010000000000000004"],
            WalSegments.InListing($"""
                0000000100000000
                0000000100000000/000000010000000000000003-{hash}.gz
                0000000100000000/000000010000000000000003.00000028.backup
                0000000100000000/000000010000000000000004-{hash}
                0000000100000000/000000010000000000000005.partial-{hash}.gz
                00000002.history
                archive.info
                """));
    }

    [Theory]
    [InlineData("000000010000000000000007", "000000010000000000000006", null, "000000010000000000000007")]
    [InlineData("000000010000000000000006", "000000010000000000000006", null, null)]
    [InlineData("000000010000000000000007.partial", "000000010000000000000006", null, null)]
    [InlineData("000000010000000000000006", "000000010000000000000006", "000000010000000000000005",
        "000000010000000000000005")]
    [InlineData("000000010000000000000004", "000000010000000000000006", "000000010000000000000005", null)]
    public void Wal_is_missing_when_it_was_archived_and_is_not_there(
        string archived, string newest, string? gap, string? missing)
    {
        var report = new BackupReport
        {
            Wal = ("000000010000000000000002", newest), WalGap = gap,
            Archiver = new ArchiverReport(true, true, archived, null, false, 0, 1 << 24),
        };

        Assert.Equal(missing, report.MissingWal);
        Assert.Null((report with { Archiver = report.Archiver with { IsPrimary = false } }).MissingWal);
    }

    [Fact]
    public async Task A_primary_that_archives_while_it_is_asked_lacks_nothing()
    {
        using var directory = new TempDirectory();
        var newest = 6;
        // Between the two questions a segment is archived.
        await using var reader = Reader(directory, () =>
        {
            var answer = $"t|t|00000001000000000000000{newest}||f|0|16777216";
            newest = 7;
            File.WriteAllText(directory["info"], Info.Replace("0006", "0007", StringComparison.Ordinal));
            return answer;
        });
        await File.WriteAllTextAsync(directory["info"], Info, Cancelled);
        await File.WriteAllLinesAsync(directory["wal"], Enumerable.Range(3, 5).Select(Archived), Cancelled);

        var report = await reader.ReadAsync(Cancelled);

        Assert.Equal((null, null, null), (report.Problem, report.WalProblem, report.MissingWal));
    }

    [Fact]
    public async Task What_the_repository_lacks_is_found_by_a_look_at_its_files()
    {
        using var directory = new TempDirectory();
        await using var reader = Reader(directory, () => "t|t|000000010000000000000006||f|0|16777216");
        await File.WriteAllTextAsync(directory["info"], Info, Cancelled);
        await File.WriteAllLinesAsync(directory["wal"], [Archived(3), Archived(4), Archived(6)], Cancelled);

        Assert.Equal("000000010000000000000005", (await reader.ReadAsync(Cancelled)).MissingWal);
    }

    [Fact]
    public async Task Metrics_do_not_wait_and_ask_once_a_minute()
    {
        using var directory = new TempDirectory();
        var time = new FakeTimeProvider();
        var asked = 0;
        await using var reader = Reader(directory, () =>
        {
            Interlocked.Increment(ref asked);
            return null;
        }, time);
        await File.WriteAllTextAsync(directory["info"], Info, Cancelled);

        Assert.Null(reader.Recall());
        await Eventually.TrueAsync(() => reader.Recall()?.Backups is [{ Type: "full" }], "the first answer", 60);
        time.Advance(TimeSpan.FromSeconds(59));
        Assert.NotNull(reader.Recall());
        Assert.Equal(1, asked);
        time.Advance(TimeSpan.FromSeconds(1));
        await Eventually.TrueAsync(() => reader.Recall() is not null && Volatile.Read(ref asked) == 2, "a look", 60);
    }

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private static string Archived(int number) =>
        $"0000000100000000/00000001000000000000000{number}-{new string('a', 40)}.gz";

    /// <summary>A pgBackRest that prints files.</summary>
    private static BackupReader Reader(TempDirectory directory, Func<string?> archiver, TimeProvider? time = null)
    {
        var program = directory["pgbackrest"];
        File.WriteAllText(program, $"""
            #!/bin/sh
            case "$*" in *repo-ls*) cat {directory["wal"]} ;; *) cat {directory["info"]} ;; esac

            """);
        File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return new BackupReader(
            () => new PgBackRestSettings { Stanza = "pay", Command = program }, _ => Task.FromResult(archiver()),
            time ?? TimeProvider.System);
    }
}
