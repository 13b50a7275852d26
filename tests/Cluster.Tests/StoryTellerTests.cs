using System.Text.Json;
using Routing.Cluster.Events;

namespace Routing.Cluster.Tests;

/// <summary>The story of a change of leader, out of what each member tells of it.</summary>
public sealed class StoryTellerTests
{
    private static readonly DateTimeOffset s_begin = new(2026, 11, 30, 8, 0, 0, TimeSpan.Zero);

    private readonly List<ClusterEvent> _events = [];

    [Fact]
    public void A_crash_has_its_five_phases_in_order()
    {
        Led("a", 10, 0);
        At(60_000, "b", EventKind.Server, "stream_lost");
        At(80_000, "b", EventKind.Leader, "leader_gone", """{"was":"a"}""", 10);
        At(80_010, "c", EventKind.Leader, "leader_gone", """{"was":"a"}""", 10);
        At(80_050, "b", EventKind.Race, "peers_answered", """{"asked":[{"name":"c","reachable":true}]}""");
        At(80_060, "b", EventKind.Reason, "races");
        At(80_100, "b", EventKind.Lease, "lease_won", null, 20);
        At(80_110, "c", EventKind.Leader, "leader_changed", """{"leader":"b"}""", 20);
        At(80_120, "b", EventKind.Leader, "leader_changed", """{"leader":"b"}""", 20);
        At(80_300, "b", EventKind.Job, "promote_done", null, 20);
        At(80_900, "b", EventKind.Write, "first_write", null, 20);

        var story = StoryTeller.Last(_events)!;

        Assert.Equal(("failover", "a", "b", 20L, true),
            (story.Kind, story.From, story.To, story.Term, story.IsComplete));
        Assert.Equal([0, 20_000, 100, 200, 600],
            story.Phases.Select(phase => (int)phase.Took!.Value.TotalMilliseconds));
        Assert.Equal(TimeSpan.FromMilliseconds(20_900), story.Total);
        Assert.Equal(("stream_lost", "races", "peers_answered"),
            (story.Cause!.Code, story.Rule!.Code, story.Race!.Code));
    }

    [Fact]
    public void A_switchover_begins_with_the_request()
    {
        Led("a", 10, 0);
        At(5_000, "a", EventKind.Request, "switchover_requested", """{"leader":"a","candidate":"b"}""");
        At(5_001, "b", EventKind.Request, "switchover_requested", """{"leader":"a","candidate":"b"}""");
        At(5_010, "a", EventKind.Reason, "steps_down");
        At(5_400, "b", EventKind.Server, "stream_lost");
        At(5_500, "b", EventKind.Leader, "leader_gone", """{"was":"a"}""", 10);
        Won("b", 20, 5_600);
        At(5_700, "b", EventKind.Request, "request_gone");

        var story = StoryTeller.Last(_events)!;

        Assert.Equal(("switchover", "a", "b", false), (story.Kind, story.From, story.To, story.IsComplete));
        Assert.Equal(("switchover_requested", "a"), (story.Cause!.Code, story.Cause.Member));
        Assert.Null(story.Phases[4].Time);
    }

    [Fact]
    public void A_request_that_was_done_long_ago_says_nothing_of_the_next_failover()
    {
        Led("a", 10, 0);
        At(5_000, "a", EventKind.Request, "switchover_requested", """{"leader":"a","candidate":"b"}""");
        At(5_500, "b", EventKind.Leader, "leader_gone", """{"was":"a"}""", 10);
        Won("b", 20, 5_600);
        At(5_700, "b", EventKind.Request, "request_gone");
        At(60_000, "b", EventKind.Reason, "dcs_silent");
        At(70_000, "c", EventKind.Leader, "leader_gone", """{"was":"b"}""", 20);
        Won("c", 30, 70_100);

        var story = StoryTeller.Last(_events)!;

        Assert.Equal(("failover", "b", "c", "dcs_silent"), (story.Kind, story.From, story.To, story.Cause!.Code));
    }

    [Fact]
    public void A_sign_that_has_ended_is_none()
    {
        Led("a", 10, 0);
        At(10_000, "b", EventKind.Server, "stream_lost");
        At(11_000, "b", EventKind.Server, "stream_begun");
        At(12_000, "a", EventKind.Reason, "switchover_soon");
        At(80_000, "b", EventKind.Leader, "leader_gone", """{"was":"a"}""", 10);
        Won("b", 20, 80_100);

        var story = StoryTeller.Last(_events)!;

        Assert.Null(story.Cause);
        Assert.Equal(s_begin.AddMilliseconds(80_000), story.Phases[0].Time);
    }

    [Fact]
    public void While_nobody_leads_the_story_has_no_end()
    {
        Led("a", 10, 0);
        At(80_000, "b", EventKind.Leader, "leader_gone", """{"was":"a"}""", 10);

        var story = StoryTeller.Last(_events)!;

        Assert.Equal(("failover", "a", null), (story.Kind, story.From, story.To));
        Assert.Equal([true, true, false, false, false], story.Phases.Select(phase => phase.Time is not null));
    }

    /// <summary>The new leader's machine is gone by now: what the others saw is told.</summary>
    [Fact]
    public void Without_the_new_leaders_events_the_others_tell()
    {
        Led("a", 10, 0);
        At(80_000, "c", EventKind.Leader, "leader_gone", """{"was":"a"}""", 10);
        At(80_100, "c", EventKind.Leader, "leader_changed", """{"leader":"b","was":"a"}""", 20);
        At(80_400, "c", EventKind.Leader, "leader_primary", """{"leader":"b"}""", 20);

        var story = StoryTeller.Last(_events)!;

        Assert.Equal(("a", "b"), (story.From, story.To));
        Assert.Equal(["c", "c", "c", "c", null], story.Phases.Select(phase => phase.Member));
    }

    /// <summary>Two machines' clocks differ: nothing comes before what it follows.</summary>
    [Fact]
    public void Clocks_that_differ_turn_no_phase_around()
    {
        Led("a", 10, 0);
        At(80_500, "c", EventKind.Leader, "leader_gone", """{"was":"a"}""", 10);
        At(80_000, "c", EventKind.Server, "stream_lost");
        At(80_900, "b", EventKind.Leader, "leader_changed", """{"leader":"b"}""", 20);
        At(80_100, "b", EventKind.Job, "promote_done", null, 20);

        var story = StoryTeller.Last(_events)!;

        Assert.All(story.Phases.Where(phase => phase.Took is not null),
            phase => Assert.True(phase.Took >= TimeSpan.Zero));
    }

    [Fact]
    public void An_agent_that_began_anew_has_seen_no_change()
    {
        At(0, "a", EventKind.Leader, "leader_seen", """{"leader":"b"}""", 10);

        Assert.Null(StoryTeller.Last(_events));
    }

    [Fact]
    public void An_event_comes_back_from_its_line_whole()
    {
        At(1_234, "pg-ä", EventKind.Lease, "lease_lost", """{"holder":"b"}""", 10);

        var read = ClusterEventJson.ReadLine(ClusterEventJson.Line(_events[0]))!;

        Assert.Equal(_events[0] with { Figures = null }, read with { Figures = null });
        Assert.Equal("b", read.Figure("holder"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\"id\":1,\"time\":\"2026-11-30T08:00:00.000Z\",\"kind\":\"rea")]
    [InlineData("[1]")]
    [InlineData("{\"id\":\"1\"}")]
    public void What_is_no_event_is_none(string line) => Assert.Null(ClusterEventJson.ReadLine(line));

    private void Led(string member, long term, int at)
    {
        At(at, member, EventKind.Leader, "leader_changed", $$"""{"leader":"{{member}}"}""", term);
        At(at + 10, member, EventKind.Reason, "leads", null, term);
    }

    private void Won(string member, long term, int at)
    {
        At(at - 5, member, EventKind.Reason, "races");
        At(at, member, EventKind.Lease, "lease_won", null, term);
        At(at, member, EventKind.Leader, "leader_changed", $$"""{"leader":"{{member}}"}""", term);
        At(at + 80, member, EventKind.Job, "promote_done", null, term);
    }

    private void At(int milliseconds, string member, string kind, string code, string? figures = null, long term = 0) =>
        _events.Add(new ClusterEvent(
            _events.Count + 1, s_begin.AddMilliseconds(milliseconds), member, kind, code, $"{code} of {member}", term,
            1, figures is null ? null : JsonElement.Parse(figures)));
}
