using Routing.TestKit;

namespace Routing.Cli.Tests;

/// <summary><c>events</c>: what has happened on all members, in one order.</summary>
public sealed class EventsTests
{
    [Fact]
    public async Task The_events_of_all_members_stand_in_one_order()
    {
        await using var leader = new EventStub("pg-a");
        await using var standby = new EventStub("pg-b");
        var ctl = Told(leader, standby);

        var ended = await ctl.RunAsync("events pay");

        Assert.Equal(
            """
            2026-08-01T11:59:58.000Z pg-b server/stream_lost: does not receive WAL by streaming any more
            2026-08-01T11:59:59.000Z pg-a role/demoted: the role is demoted
            2026-08-01T12:00:00.100Z pg-b leader/leader_gone: nobody holds the leader key; pg-a held it

            """,
            ended.Output);
        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
    }

    [Theory]
    [InlineData("json", """
        [{"id": 9, "time": "2026-08-01T12:00:00.100Z", "member": "pg-b", "kind": "leader", "code": "leader_gone", "text": "nobody holds the leader key; pg-a held it", "term": 812, "timeline": 4, "figures": {"was": "pg-a"}}]

        """)]
    [InlineData("yaml", """
        - code: leader_gone
          figures:
            was: pg-a
          id: 9
          kind: leader
          member: pg-b
          term: 812
          text: nobody holds the leader key; pg-a held it
          time: '2026-08-01T12:00:00.100Z'
          timeline: 4

        """)]
    [InlineData("tsv", """
        Time	Member	Id	Kind	Code	Text
        2026-08-01T12:00:00.100Z	pg-b	9	leader	leader_gone	nobody holds the leader key; pg-a held it

        """)]
    public async Task Programs_read_them_in_their_format(string format, string expected)
    {
        await using var leader = new EventStub("pg-a");
        await using var standby = new EventStub("pg-b");
        var ctl = Told(leader, standby);

        var ended = await ctl.RunAsync($"events pay pg-b --kind leader -f {format}");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Equal(expected, ended.Output);
    }

    [Fact]
    public async Task The_newest_ones_are_shown_where_a_number_is_given()
    {
        await using var leader = new EventStub("pg-a");
        await using var standby = new EventStub("pg-b");

        var ended = await Told(leader, standby).RunAsync("events pay --last 1");

        Assert.StartsWith("2026-08-01T12:00:00.100Z pg-b leader/leader_gone", ended.Output, StringComparison.Ordinal);
        Assert.Single(ended.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    /// <summary>Patroni answers every path that it does not know like a health check.</summary>
    [Fact]
    public async Task A_member_without_a_diary_is_named_and_the_others_are_shown()
    {
        await using var leader = new EventStub("pg-a");
        await using var patroni = RestStub.Start(503, """{"state":"running","role":"replica"}""");
        leader.Tell(1, "2026-08-01T11:59:59.000Z", "role", "primary", "the role is primary");
        var ctl = new Ctl().WithPay(leader.ApiUrl, patroni.ApiUrl);

        var ended = await ctl.RunAsync("events pay");

        Assert.Equal((0, "2026-08-01T11:59:59.000Z pg-a role/primary: the role is primary\n"),
            (ended.ExitCode, ended.Output));
        Assert.Equal(
            "Hint: pg-b has no GET /events (status 503): its agent is Patroni 4.1.4, which has none: its events are "
                + "missing here.\n",
            ended.Error);
    }

    [Fact]
    public async Task Without_any_diary_the_command_fails()
    {
        await using var patroni = RestStub.Start(404, "");

        var ended = await new Ctl().WithPay(patroni.ApiUrl, "http://127.0.0.1:1/patroni").RunAsync("events pay");

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith("Error: pg-a has no GET /events (status 404): its agent is Patroni 4.1.4, which has none\n",
            ended.Error, StringComparison.Ordinal);
        Assert.Contains("pg-b gives no answer", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public Task A_member_that_is_none_is_refused() =>
        Ctl.RefusesAsync("events pay pg-x", "pg-x is not a member of cluster pay");

    [Fact]
    public async Task Following_shows_what_happens_and_goes_on_after_a_cut()
    {
        await using var leader = new EventStub("pg-a");
        await using var standby = new EventStub("pg-b");
        var ctl = Told(leader, standby);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var text = new SharedText();
        var running = ctl.FollowAsync(["events", "pay", "--follow", "-f", "tsv"], text, end.Token);
        await UntilAsync(() => leader.Asked.Count > 0 && standby.Asked.Count > 0, "both streams are open");

        standby.Tell(10, "2026-08-01T12:00:02.000Z", "lease", "lease_won", "holds the leader key");
        leader.Tell(6, "2026-08-01T12:00:01.000Z", "leader", "leader_changed", "pg-b holds the leader key");
        await UntilAsync(() => text.Text.Contains("lease_won", StringComparison.Ordinal)
            && text.Text.Contains("leader_changed", StringComparison.Ordinal), "both events are shown");
        standby.CutStreams();
        await UntilAsync(() => standby.Asked.Count > 1, "the stream is open again");
        standby.Tell(11, "2026-08-01T12:00:03.000Z", "write", "first_write", "has written");
        await UntilAsync(() => text.Text.Contains("first_write", StringComparison.Ordinal), "the story goes on");
        await end.CancelAsync();
        await running;

        var lines = text.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("Time\tMember\tId\tKind\tCode\tText", lines[0]);
        Assert.Equal(["stream_lost", "demoted", "leader_gone"], lines[1..4].Select(line => line.Split('\t')[4]));
        Assert.Equal(7, lines.Length);
        Assert.Equal(("9", "10"), (standby.Asked[0], standby.Asked[^1]));
        Assert.Equal("5", leader.Asked[0]);
    }

    private static Task UntilAsync(Func<bool> condition, string what) =>
        WaitUntil.TrueAsync(condition, TimeSpan.FromSeconds(60), what);

    private static Ctl Told(EventStub leader, EventStub standby)
    {
        leader.Tell(5, "2026-08-01T11:59:59.000Z", "role", "demoted", "the role is demoted");
        standby.Tell(8, "2026-08-01T11:59:58.000Z", "server", "stream_lost",
            "does not receive WAL by streaming any more");
        standby.Tell(9, "2026-08-01T12:00:00.100Z", "leader", "leader_gone",
            "nobody holds the leader key; pg-a held it", ""","figures":{"was":"pg-a"}""");
        return new Ctl().WithPay(leader.ApiUrl, standby.ApiUrl);
    }
}
