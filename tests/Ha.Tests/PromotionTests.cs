using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>A promotion that goes wrong: what PostgreSQL was asked for cannot be taken back.</summary>
public sealed class PromotionTests
{
    private static readonly LocalPostgres s_standby = Every.Server(ServerState.Running, isPrimary: false);

    private static readonly JobEnd s_failed = new(JobKind.Promote, JobResult.Failed, "is still in recovery", Every.Now);

    [Fact]
    public void One_that_failed_before_PostgreSQL_was_asked_gives_the_key_up_and_leaves_the_standby_alone()
    {
        var decision = HaLoop.Decide(Winner(wasAsked: false) with { Ended = s_failed });

        Assert.Equal("promotion_failed", decision.Code);
        Assert.IsType<HaAction.ReleaseLeader>(Assert.Single(decision.Actions));
    }

    [Fact]
    public void One_that_may_still_happen_stops_the_server_first()
    {
        var decision = HaLoop.Decide(Winner(wasAsked: true) with { Ended = s_failed });

        Assert.Equal("promotion_failed", decision.Code);
        Assert.Equal(new HaAction.Demote(DemoteMode.Immediate), Assert.Single(decision.Actions));
        Assert.True(decision.Memory.BarredFromRaceUntil > Every.Now);
    }

    [Theory]
    [InlineData(true, "lost_leader")]
    [InlineData(false, "follows")]
    public void Whoever_was_asked_and_does_not_lead_any_more_is_stopped(bool wasAsked, string code)
    {
        var o = Every.Of(s_standby with { PromotionAsked = wasAsked, IsStreaming = true }, "b", default);

        Assert.StartsWith(code, HaLoop.Decide(o).Code, StringComparison.Ordinal);
    }

    /// <summary>A damaged or forged key: PostgreSQL steps over each timeline with a file of its own.</summary>
    [Theory]
    [InlineData("4000000000", 1u)]
    [InlineData("4294967295", 1u)]
    [InlineData("1002", 1u)]
    [InlineData("1001", 1001u)]
    [InlineData("3", 3u)]
    public void A_timeline_far_beyond_the_local_one_is_not_believed(string reserved, uint used)
    {
        var o = Winner(wasAsked: false);
        o = o with { Cluster =
            o.Cluster! with { RoutingKeys = o.Cluster.RoutingKeys.SetItem(ClusterKeys.Timeline, reserved) } };

        var decision = HaLoop.Decide(o);

        Assert.Equal([new HaAction.ReserveTimeline(used + 1), new HaAction.Promote(used)], decision.Actions.ToArray());
        Assert.Equal(used == 1, decision.Reason.Contains("is not believed", StringComparison.Ordinal));
    }

    [Fact]
    public void What_one_key_claims_beyond_belief_does_not_hide_what_another_tells()
    {
        var o = Winner(wasAsked: false);
        o = o with
        {
            Cluster = o.Cluster! with
            {
                RoutingKeys = o.Cluster.RoutingKeys.SetItem(ClusterKeys.Timeline, "4000000000"),
                History = new TimelineHistory([new HistoryLine(4_000_000_000, new Lsn(1), "", null, null)]),
                Members = o.Cluster.Members.SetItem("c", Every.Member("c", Role.Replica) with { Timeline = 7 }),
            },
        };

        Assert.Contains(new HaAction.Promote(7), HaLoop.Decide(o).Actions);
    }

    [Theory]
    [InlineData(SynchronousMode.Priority)]
    [InlineData(SynchronousMode.Quorum)]
    public void One_whose_synchronous_standbys_cannot_be_set_gives_the_key_up_after_a_while(SynchronousMode mode)
    {
        // Something outside postgresql.conf sets the parameter: whatever is asked for, 'x' stays in force.
        var o = Winner(wasAsked: false);
        o = o with
        {
            Local = o.Local with { SynchronousStandbyNames = "x" },
            Config = o.Config with { SynchronousMode = mode },
            Cluster = o.Cluster! with { Sync = new SyncState("b", ["a", "c"], 0, 40) },
        };
        var codes = new List<string>();

        for (var run = 0; run < 200 && codes.LastOrDefault() != "promotion_failed"; run++)
        {
            var decision = HaLoop.Decide(o);
            codes.Add(decision.Code);
            o = o with { Memory = decision.Memory, Now = o.Now + TimeSpan.FromMilliseconds(100) };
        }

        Assert.Equal("prepares_promotion", codes[0]);
        Assert.Equal("promotion_failed", codes[^1]);
        Assert.True(o.Memory.BarredFromRaceUntil > o.Now);
        Assert.InRange(o.Now - Every.Now, o.Timing.LoopWait, o.Timing.Ttl);
    }

    /// <summary>A server that fell silent between the race and the promotion holds nobody up for ever.</summary>
    [Theory]
    [InlineData(9, true, "unresponsive")]
    [InlineData(10, true, "promotion_failed")]
    [InlineData(60, false, "unresponsive")]   // this agent has not seen it as a standby
    public void A_winner_whose_server_does_not_answer_gives_the_key_up(int seconds, bool hasRun, string code)
    {
        var o = Winner(wasAsked: false);
        o = o with
        {
            Local = o.Local with { Server = ServerState.Unresponsive },
            Memory = o.Memory with { HasRun = hasRun },
        };

        var first = HaLoop.Decide(o);
        var later = HaLoop.Decide(o with { Memory = first.Memory, Now = o.Now + TimeSpan.FromSeconds(seconds) });

        Assert.Equal(("unresponsive", code), (first.Code, later.Code));
        Assert.Equal(code == "promotion_failed", later.Actions.Contains(new HaAction.ReleaseLeader(null)));
    }

    private static Observation Winner(bool wasAsked) => Every.Of(
        s_standby with { PromotionAsked = wasAsked }, "a",
        new LeaseView(true, new Term(50), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30)))
        with { Memory = LoopMemory.Empty with { DivergenceTerm = new Term(50) } };
}
