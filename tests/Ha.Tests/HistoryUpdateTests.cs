using System.Collections.Immutable;
using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>The history key follows the primary's own history file.</summary>
public sealed class HistoryUpdateTests
{
    private static readonly ImmutableArray<HistoryLine> s_file =
    [
        new(1, new Lsn(100), "no recovery target specified", "2026-01-01T00:00:00+00:00", null),
        new(2, new Lsn(200), "no recovery target specified", "2026-01-02T00:00:00+00:00", null),
    ];

    [Fact]
    public void The_newest_change_names_its_leader()
    {
        var history = HistoryUpdate.Of(null, Primary(3, s_file), "a", 0);

        Assert.Equal(["", "a"], history!.Lines.Select(line => line.NewLeader ?? ""));
    }

    [Fact]
    public void What_older_leaders_wrote_is_kept()
    {
        var known = new TimelineHistory([s_file[0] with { NewLeader = "b", Timestamp = "then" }]);

        var history = HistoryUpdate.Of(known, Primary(3, s_file), "a", 0);

        Assert.Equal(("b", "then"), (history!.Lines[0].NewLeader, history.Lines[0].Timestamp));
    }

    [Fact]
    public void What_stands_there_already_is_not_written_again()
    {
        var written = HistoryUpdate.Of(null, Primary(3, s_file), "a", 0);

        Assert.Null(HistoryUpdate.Of(written, Primary(3, s_file), "a", 0));
    }

    [Fact]
    public void A_server_that_does_not_tell_the_time_of_a_change_is_not_written_for_ever()
    {
        ImmutableArray<HistoryLine> file = [.. s_file.Select(line => line with { Timestamp = null })];
        var written = HistoryUpdate.Of(null, Primary(3, file), "a", 0);

        Assert.Null(HistoryUpdate.Of(written, Primary(3, file), "a", 0));
    }

    [Fact]
    public void Only_so_many_lines_are_kept() =>
        Assert.Equal([2u], HistoryUpdate.Of(null, Primary(3, s_file), "a", 1)!.Lines.Select(line => line.Timeline));

    [Fact]
    public void A_standby_writes_nothing() =>
        Assert.Null(HistoryUpdate.Of(null, Primary(3, s_file) with { IsPrimary = false }, "a", 0));

    [Fact]
    public void A_file_that_was_not_read_yet_writes_nothing() =>
        Assert.Null(HistoryUpdate.Of(null, Primary(3, []), "a", 0));

    /// <summary>
    /// A promotion steps over timelines that another member may have opened: the key names the present one all the
    /// same.
    /// </summary>
    [Fact]
    public void A_timeline_that_was_stepped_over_leaves_no_gap()
    {
        var history = HistoryUpdate.Of(null, Primary(5, s_file), "a", 0);

        Assert.Equal(5u, history!.CurrentTimeline);
        Assert.Equal([1u, 2u, 4u], history.Lines.Select(line => line.Timeline));
        Assert.Equal(Lsn.Zero, history.Lines[^1].SwitchPoint);
        Assert.Null(HistoryUpdate.Of(history, Primary(5, s_file), "a", 0));
    }

    [Fact]
    public void The_first_timeline_clears_an_older_history() =>
        Assert.Empty(HistoryUpdate.Of(new TimelineHistory(s_file), Primary(1, []), "a", 0)!.Lines);

    private static LocalPostgres Primary(uint timeline, ImmutableArray<HistoryLine> history) =>
        Every.Server(ServerState.Running, isPrimary: true) with { Timeline = timeline, History = history };
}
