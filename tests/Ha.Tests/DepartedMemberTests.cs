using System.Collections.Immutable;
using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>
/// A leader's key and its member key vanish together: it has to be asked all the same, for its server may still accept
/// writes.
/// </summary>
public sealed class DepartedMemberTests
{
    private static readonly PeerReport s_alive =
        new("b", true, IsPrimary: true, new Lsn(200), 1) { Role = Role.Primary };

    [Fact]
    public void The_leader_whose_lease_has_ended_is_asked()
    {
        var race = After(Led("b"), Gone("b"));

        Assert.Equal("asks_peers", race.Code);
        Assert.Equal(["b", "c"], Asked(race));
        Assert.Equal("http://b:8008/patroni", Assert.IsType<HaAction.ProbePeers>(race.Actions[0]).Members[0].ApiUrl);
    }

    [Fact]
    public void Nobody_races_while_it_answers_as_a_primary()
    {
        var o = Gone("b") with { Memory = Seconds(3, HaLoop.Decide(Led("b")).Memory) };

        Assert.Equal("primary_alive", HaLoop.Decide(Answered(o, s_alive)).Code);
        Assert.Equal("races", HaLoop.Decide(Answered(o, PeerReport.Unreachable("b", "no answer"))).Code);
        Assert.Equal("races", HaLoop.Decide(Answered(o, s_alive with { IsPrimary = false })).Code);
    }

    [Fact]
    public void It_is_asked_though_a_synchronous_state_does_not_name_it()
    {
        var o = Gone("b") with { Memory = HaLoop.Decide(Led("b")).Memory,
            Config = Every.Config("""{"synchronous_mode":true}""") };
        o = o with { Cluster = o.Cluster! with { Sync = new SyncState("x", SyncState.None.Standbys.Add("a"), 0, 60) } };

        Assert.Equal(["b"], Asked(HaLoop.Decide(o)));
        Assert.Equal("primary_alive", HaLoop.Decide(Answered(o with { Memory = Seconds(3, o.Memory) }, s_alive)).Code);
    }

    [Fact]
    public void Its_watchdog_does_not_make_a_living_primary_a_dead_one()
    {
        var o = Gone("b") with { Memory = Seconds(3, HaLoop.Decide(Led("b")).Memory) };

        Assert.Equal("primary_alive", HaLoop.Decide(Answered(o, s_alive with { WatchdogFailed = true })).Code);
    }

    [Fact]
    public void A_standby_that_went_while_another_led_is_forgotten() =>
        Assert.Equal(["b"], Asked(After(Led("b"), Without(Led("b"), "c"), Without(Led(null), "c"))));

    [Fact]
    public void A_standby_that_went_after_the_leader_is_asked() =>
        Assert.Equal(["b", "c"], Asked(After(Led("b"), Led(null), Without(Led(null), "c"))));

    [Fact]
    public void A_departed_leader_is_forgotten_when_another_leads_as_a_primary() =>
        Assert.Equal(["c"], Asked(After(Led("b"), Gone("b"), Without(Led("c"), "b"), Without(Led(null), "b"))));

    /// <summary>As the candidate of a request Patroni takes the key without asking anybody.</summary>
    [Fact]
    public void It_is_not_forgotten_when_a_member_with_Patroni_leads()
    {
        var led = Without(Led("c"), "b");
        led = led with
        {
            Cluster = led.Cluster! with
            {
                Members = led.Cluster.Members.SetItem("c", Every.Member("c", Role.Primary) with { Routing = null }),
            },
        };

        Assert.Equal(["b", "c"], Asked(After(Led("b"), Gone("b"), led, Without(Led(null), "b"))));
    }

    [Fact]
    public void It_is_not_forgotten_when_another_only_took_the_key()
    {
        var took = Without(Led("c"), "b");
        took =
            took with { Cluster =
                took.Cluster! with { Members = took.Cluster.Members.SetItem("c", Every.Member("c", Role.Replica)) } };

        Assert.Equal(["b", "c"], Asked(After(Led("b"), Gone("b"), took, Without(Led(null), "b"))));
    }

    [Fact]
    public void A_member_that_is_back_is_asked_where_it_is_now()
    {
        var back = Led(null);
        back =
            back
                with { Cluster =
                    back.Cluster! with { Members = back.Cluster.Members.SetItem(
                        "b", Every.Member("b", Role.Replica) with { ApiUrl = "http://new:8008/patroni" }) } };
        var race = After(Led("b"), Gone("b"), back);

        Assert.Equal("http://new:8008/patroni", Assert.IsType<HaAction.ProbePeers>(race.Actions[0]).Members[0].ApiUrl);
    }

    [Fact]
    public void A_member_whose_key_was_damaged_is_asked_where_it_was()
    {
        var damaged = Led(null);
        damaged =
            damaged with { Cluster =
                damaged.Cluster! with { Members = damaged.Cluster.Members.SetItem("b", new Member { Name = "b" }) } };

        Assert.Equal(["b", "c"], Asked(After(Led("b"), damaged)));
    }

    [Theory]
    [InlineData("b")]   // the leader was cut off
    [InlineData("c")]   // a standby was: somebody may have promoted it by hand
    public void After_a_pause_each_member_that_was_lost_in_it_is_asked_whatever_came_since(string lost)
    {
        var other = lost == "b" ? "c" : "b";
        var race = After(
            Paused(Led("b")), Paused(Without(Led(lost == "b" ? null : "b"), lost)), Without(Led(other), lost),
            Without(Led(null), lost));

        Assert.Contains(lost, Asked(race));
        Assert.True(Assert.IsType<HaAction.ProbePeers>(race.Actions[0]).Patient);
    }

    /// <summary>Somebody may have promoted it by hand, and its key may not say so yet.</summary>
    [Fact]
    public void After_a_pause_the_members_outside_the_synchronous_state_are_asked_too()
    {
        var after = After(Paused(Led("b")), Led("b"), Synchronous(Gone("b")));

        Assert.Equal(["b", "c"], Asked(after));
        Assert.Equal(["b"], Asked(After(Led("b"), Synchronous(Gone("b")))));

        static Observation Synchronous(Observation o) => o with
        {
            Config = Every.Config("""{"synchronous_mode":true}"""),
            Cluster = o.Cluster! with { Sync = new SyncState("b", SyncState.None.Standbys.Add("a"), 0, 60) },
        };
    }

    [Fact]
    public void A_member_that_was_lost_in_a_pause_is_forgotten_an_hour_after_it()
    {
        var late = Without(Led("b"), "c") with { Now = Every.Now + TimeSpan.FromMinutes(61) };

        Assert.DoesNotContain("c", Asked(After(
            Paused(Led("b")), Paused(Without(Led("b"), "c")), Without(Led("b"), "c"), late,
            Without(Led(null), "c") with { Now = late.Now })));
    }

    [Fact]
    public void A_pause_however_long_forgets_nobody()
    {
        var days = Every.Now + TimeSpan.FromDays(3);

        Assert.Contains("c", Asked(After(
            Paused(Led("b")), Paused(Without(Led("b"), "c")), Paused(Without(Led("b"), "c")) with { Now = days },
            Without(Led("b"), "c") with { Now = days }, Without(Led(null), "c") with { Now = days })));
    }

    [Fact]
    public void An_agent_that_was_started_anew_asks_whom_its_earlier_life_knew()
    {
        var earlier = HaLoop.Decide(Paused(Led("b"))).Memory.Members;
        var started = Gone("b") with { Memory = LoopMemory.Empty with { Members = earlier } };

        Assert.Equal(["b", "c"], Asked(HaLoop.Decide(started)));
    }

    [Fact]
    public void The_failsafe_members_are_asked_too()
    {
        var o = Every.Of(Standby(), null, default,
            config: Every.Config("""{"failsafe_mode":true}""")) with { Peers = null };
        o = o with
        {
            Failsafe = default,
            Cluster = o.Cluster! with
            {
                Members = o.Cluster.Members.Remove("b"),
                Failsafe = ImmutableSortedDictionary<string, string>.Empty.Add("a", "http://a/").Add("b", "http://b/")
                    .Add("c", "http://c/"),
            },
        };

        Assert.Equal(["b", "c"], Asked(HaLoop.Decide(o)));
    }

    /// <summary>
    /// Its position counts, as of everybody; but it cannot take the key, so it is not waited for without end.
    /// </summary>
    [Theory]
    [InlineData(3, "behind")]
    [InlineData(31, "races")]
    public void A_departed_standby_with_more_WAL_is_waited_for_one_ttl(int seconds, string code)
    {
        var o = Gone("b") with { Memory = Seconds(seconds, HaLoop.Decide(Led("b")).Memory) };

        Assert.Equal(code, HaLoop.Decide(Answered(o, new PeerReport("b", true, false, new Lsn(201), 1))).Code);
    }

    [Theory]
    [InlineData(61, false, "races")]           // its fence has stopped it long ago
    [InlineData(59, false, "primary_alive")]
    [InlineData(61, true, "primary_alive")]    // it believes in a pause: it is not guarded
    public void What_a_hanging_agent_of_ours_saw_long_ago_counts_while_it_may_be_so(int age, bool paused, string code)
    {
        var o = Gone("b") with { Memory = Seconds(31, HaLoop.Decide(Led("b")).Memory) };

        Assert.Equal(
            code, HaLoop.Decide(Answered(o, s_alive with { Age = TimeSpan.FromSeconds(age), Paused = paused })).Code);
    }

    [Fact]
    public void An_address_that_belongs_to_another_cluster_now_says_nothing()
    {
        var o = Gone("b") with { Memory = Seconds(3, HaLoop.Decide(Led("b")).Memory) };

        Assert.Equal("races", HaLoop.Decide(Answered(o, s_alive with { SystemId = "7999" })).Code);
        Assert.Equal(
            "primary_alive", HaLoop.Decide(Answered(o, s_alive with { SystemId = "7000000000000000001" })).Code);
    }

    [Fact]
    public void A_primary_without_the_key_asks_nobody_while_it_accepts_writes()
    {
        var o = Every.Of(Every.Server(ServerState.Running, isPrimary: true), null, default) with { Peers = null };

        Assert.IsType<HaAction.AcquireLeader>(Assert.Single(HaLoop.Decide(o).Actions));
    }

    [Fact]
    public void A_primary_does_not_take_the_key_back_when_a_later_timeline_was_announced()
    {
        var o = Every.Of(Every.Server(ServerState.Running, isPrimary: true), null, default);
        o = o with { Cluster = o.Cluster! with { RoutingKeys = o.Cluster.RoutingKeys.Add(ClusterKeys.Timeline, "2") } };

        Assert.Contains(HaLoop.Decide(o).Actions, a => a is HaAction.Demote { Mode: DemoteMode.ImmediateNoLock });
    }

    private static LocalPostgres Standby() => Every.Server(ServerState.Running, isPrimary: false);

    private static Observation Led(string? leader)
    {
        var o = Every.Of(Standby(), leader, default) with { Peers = null };
        return leader is null ? o
            : o with { Cluster =
                o.Cluster! with { Members = o.Cluster.Members.SetItem(leader, Every.Member(leader, Role.Primary)) } };
    }

    private static Observation Gone(string name) => Without(Led(null), name);

    private static Observation Without(Observation o, string name) =>
        o with { Cluster = o.Cluster! with { Members = o.Cluster.Members.Remove(name) } };

    private static Observation Paused(Observation o) => o with { Config = Every.Config("""{"pause":true}""") };

    /// <summary>Decides on one after the other, each with the memory of the one before.</summary>
    private static Decision After(params ReadOnlySpan<Observation> views)
    {
        Decision? last = null;
        foreach (var view in views)
        {
            last = HaLoop.Decide(last is null ? view : view with { Memory = last.Memory });
        }
        return last!;
    }

    private static IEnumerable<string> Asked(Decision decision) =>
        decision.Actions.OfType<HaAction.ProbePeers>().SelectMany(probe => probe.Members.Select(member => member.Name));

    private static LoopMemory Seconds(double unlocked, LoopMemory memory) =>
        memory with { UnlockedSince = Every.Now - TimeSpan.FromSeconds(unlocked) };

    private static Observation Answered(Observation o, PeerReport report)
    {
        var answers = Every.Answers(100, isPrimary: false);
        return o with { Peers = answers with { Reports = answers.Reports.SetItem(report.Name, report) } };
    }
}
