using Routing.Agent.Backups;

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
            new ArchiverReport(true, true, "000000010000000000000006", null, false, 2),
            BackupReader.ParseArchiver("t|t|000000010000000000000006||f|2"));
        Assert.Equal(
            new ArchiverReport(true, true, null, "000000010000000000000007", true, 9),
            BackupReader.ParseArchiver("t|t||000000010000000000000007|t|9"));
        Assert.Null(BackupReader.ParseArchiver(null));
    }
}
