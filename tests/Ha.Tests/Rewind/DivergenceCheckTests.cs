using Routing.Cluster;
using Routing.Ha.Rewind;
using Xunit;

namespace Routing.Ha.Tests.Rewind;

public sealed class DivergenceCheckTests
{
    private const string History = """
        1	0/3000060	no recovery target specified

        2	0/5000000	before 2026-07-01 10:00:00+00
        """;

    [Theory]
    //          local TL, LSN, in recovery, end of shutdown checkpoint, primary TL → diverged
    [InlineData(4, "0/1000000", true, null, 3, true)]        // beyond anything the primary had
    [InlineData(3, "0/9000000", true, null, 3, false)]       // same timeline
    [InlineData(3, "0/9000000", false, null, 3, false)]
    [InlineData(2, "0/5000000", true, null, 3, false)]       // replayed up to the switch
    [InlineData(2, "0/5000001", true, null, 3, true)]        // and one byte beyond
    [InlineData(1, "0/3000060", true, null, 3, false)]       // two timelines back
    [InlineData(1, "0/5000000", true, null, 3, true)]
    // former primary: a checkpoint at the switch point is beyond it
    [InlineData(2, "0/5000000", false, null, 3, true)]
    [InlineData(2, "0/4FFFFF8", false, "0/5000000", 3, false)]
    [InlineData(2, "0/4FFFFF8", false, "0/4FFFFFF", 3, true)]
    [InlineData(2, "0/4FFFFF8", false, null, 3, true)]       // the end of its last record is not known
    public void Data_that_left_the_primarys_history_is_rewound(
        uint timeline, string lsn, bool inRecovery, string? end, uint primary, bool diverged)
    {
        var decision = DivergenceCheck.Decide(Observe(timeline, lsn, inRecovery, end, primary));

        Assert.Equal(diverged, decision.IsDiverged);
        Assert.NotEmpty(decision.Reason);
    }

    [Fact]
    public void Timeline_that_the_primary_never_had_is_diverged() =>
        Assert.True(DivergenceCheck.Decide(Observe(3, "0/1", true, null, 5) with { PrimaryTimeline = 5 }).IsDiverged);

    [Theory]
    [InlineData(false, "0/4FFFFF8", true)]
    [InlineData(false, "0/5000000", false)]
    [InlineData(true, "0/4FFFFF8", false)]
    public void End_of_the_shutdown_checkpoint_is_only_asked_for_where_it_decides(
        bool inRecovery, string lsn, bool asked) =>
        Assert.Equal(asked, DivergenceCheck.NeedsShutdownCheckpointEnd(Observe(2, lsn, inRecovery, null, 3)));

    [Fact]
    public void History_file_is_read_line_by_line()
    {
        var lines = TimelineHistoryFile.Parse("# comment\n" + History);

        Assert.Equal(
            [
                new TimelineSwitch(1, Lsn.Parse("0/3000060"), "no recovery target specified"),
                new TimelineSwitch(2, Lsn.Parse("0/5000000"), "before 2026-07-01 10:00:00+00"),
            ],
            lines);
    }

    [Theory]
    [InlineData("x 0/1 reason")]
    [InlineData("1")]
    [InlineData("1 0x1 reason")]
    [InlineData("2 0/1 a\n2 0/2 b")]
    [InlineData("3 0/1 a\n2 0/2 b")]
    public void Broken_history_file_is_refused(string text) =>
        Assert.Throws<FormatException>(() => TimelineHistoryFile.Parse(text));

    private static DivergenceObservation Observe(
        uint timeline, string lsn, bool inRecovery, string? end, uint primary) => new()
    {
        LocalTimeline = timeline,
        LocalLsn = Lsn.Parse(lsn),
        WasInRecovery = inRecovery,
        PrimaryTimeline = primary,
        PrimaryHistory = TimelineHistoryFile.Parse(History),
        ShutdownCheckpointEnd = end is null ? null : Lsn.Parse(end),
    };
}
