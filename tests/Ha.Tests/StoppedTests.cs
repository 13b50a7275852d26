using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>PostgreSQL does not run: in place, by another member, or back as a standby.</summary>
public sealed class StoppedTests
{
    private static readonly LocalPostgres s_formerPrimary = Every.Server(ServerState.Stopped, isPrimary: true) with { IsPrimary = false };
    private static readonly LocalPostgres s_formerStandby = Every.Server(ServerState.Stopped, isPrimary: false);
    private static readonly LeaseView s_holds = new(true, new Term(50), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30));

    [Fact]
    public void A_crashed_primary_is_started_again_for_as_long_as_primary_start_timeout_says()
    {
        var decision = HaLoop.Decide(Leader("""{"primary_start_timeout":60}""", downFor: 20));

        Assert.Equal(new HaAction.StartPrimary(TimeSpan.FromSeconds(40)), Assert.Single(decision.Actions));
    }

    [Theory]
    [InlineData("""{"primary_start_timeout":0}""", 0)]
    [InlineData("""{"primary_start_timeout":60}""", 61)]
    public void When_the_time_is_up_another_member_takes_over(string json, int downFor)
    {
        var decision = HaLoop.Decide(Leader(json, downFor));

        Assert.Equal("releasing", decision.Code);
        Assert.IsType<HaAction.ReleaseLeader>(Assert.Single(decision.Actions));
    }

    [Fact]
    public void When_nobody_can_take_over_it_is_started_again() => Assert.Equal("restarts_primary", HaLoop.Decide(
        Leader("""{"primary_start_timeout":0}""", 0) with { Peers = Every.Answers(200, isPrimary: false, reachable: false) }).Code);

    [Fact]
    public void A_start_that_failed_gives_the_key_up()
    {
        var o = Leader("{}", 5);

        Assert.Equal("releasing", HaLoop.Decide(o with { Memory = o.Memory with { StartFailure = "no space" } }).Code);
    }

    [Fact]
    public void Nothing_is_started_while_the_lease_runs_out() => Assert.Equal("lease_ends", HaLoop.Decide(
        Leader("{}", 5) with { Lease = s_holds with { LeaderLeft = TimeSpan.FromSeconds(1) } }).Code);

    [Fact]
    public void A_leader_that_was_a_standby_starts_as_one_and_promotes_later() =>
        Assert.Equal(new HaAction.StartStandby(null), Assert.Single(HaLoop.Decide(Leader("{}", 5) with { Local = s_formerStandby }).Actions));

    [Fact]
    public void A_former_primary_compares_histories_before_it_comes_back() => Assert.Equal(
        new HaAction.CheckDivergence("b"), Assert.Single(HaLoop.Decide(Follower(s_formerPrimary, DivergenceState.Unchecked)).Actions));

    [Fact]
    public void What_fits_is_started_as_a_standby() => Assert.Equal(
        new HaAction.StartStandby(new Upstream(new HostPort("b", 5432), "a")),
        Assert.Single(HaLoop.Decide(Follower(s_formerPrimary, DivergenceState.Fits)).Actions));

    [Fact]
    public void What_has_diverged_is_rewound() => Assert.Equal(
        new HaAction.Rewind("b"), Assert.Single(HaLoop.Decide(Follower(s_formerPrimary, DivergenceState.Diverged)).Actions));

    [Fact]
    public void A_rewind_waits_for_the_checkpoint_of_the_new_primary()
    {
        var o = Follower(s_formerPrimary, DivergenceState.Diverged);
        var pending = o.Cluster!.Members["b"] with { CheckpointAfterPromotePending = true };

        var decision = HaLoop.Decide(o with { Cluster = o.Cluster with { Members = o.Cluster.Members.SetItem("b", pending) } });

        Assert.Equal("rewind_waits", decision.Code);
        Assert.Empty(decision.Actions);
    }

    [Fact]
    public void Diverged_data_that_cannot_be_rewound_are_replaced_where_that_is_allowed() => Assert.Equal(
        new HaAction.CopyMember("b"),
        Assert.Single(HaLoop.Decide(Follower(
            s_formerPrimary with { RewindPossible = false, MayRemoveDivergedData = true }, DivergenceState.Diverged)).Actions));

    [Theory]
    [InlineData(DivergenceState.Diverged, "diverged")]
    [InlineData(DivergenceState.RewindFailed, "rewind_failed")]
    public void Else_the_member_stays_down_and_says_why(DivergenceState divergence, string code)
    {
        var decision = HaLoop.Decide(Follower(s_formerPrimary with { RewindPossible = false }, divergence));

        Assert.Equal(code, decision.Code);
        Assert.Contains("reinitialize", decision.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_start_that_failed_is_tried_again_later()
    {
        var o = Follower(s_formerStandby, DivergenceState.Fits) with
        {
            Ended = new JobEnd(JobKind.StartStandby, JobResult.Failed, "no", Every.Now),
        };

        Assert.Equal("start_retry", HaLoop.Decide(o).Code);
    }

    [Fact]
    public void Without_a_leader_it_starts_to_take_part_in_the_race() => Assert.Equal(
        new HaAction.StartStandby(null), Assert.Single(HaLoop.Decide(Every.Of(s_formerPrimary, null, default)).Actions));

    [Fact]
    public void A_paused_member_stays_down()
    {
        var decision = HaLoop.Decide(Every.Of(s_formerPrimary, "b", default, config: Every.Config("""{"pause":true}""")));

        Assert.Equal("paused_stopped", decision.Code);
        Assert.Empty(decision.Actions);
    }

    private static Observation Leader(string json, int downFor) =>
        Every.Of(s_formerPrimary, "a", s_holds, config: Every.Config(json)) with
        {
            Peers = Every.Answers(200, isPrimary: false),
            Memory = new LoopMemory { DownSince = Every.Now - TimeSpan.FromSeconds(downFor) },
        };

    private static Observation Follower(LocalPostgres local, DivergenceState divergence) => Every.Of(local, "b", default) with
    {
        Memory = new LoopMemory { Divergence = divergence, DivergenceTerm = new Term(50) },
    };
}
