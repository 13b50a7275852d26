using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>PostgreSQL does not run: in place, by another member, or back as a standby.</summary>
public sealed class StoppedTests
{
    private static readonly LocalPostgres s_formerPrimary =
        Every.Server(ServerState.Stopped, isPrimary: true) with { IsPrimary = false };
    private static readonly LocalPostgres s_formerStandby = Every.Server(ServerState.Stopped, isPrimary: false);
    private static readonly LeaseView s_holds =
        new(true, new Term(50), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30));

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
        Leader("""{"primary_start_timeout":0}""",
            0) with { Peers = Every.Answers(200, isPrimary: false, reachable: false) }).Code);

    [Fact]
    public void A_start_that_failed_gives_the_key_up()
    {
        var o = Leader("{}", 5);

        Assert.Equal("releasing", HaLoop.Decide(o with { Memory = o.Memory with { StartFailure = "no space" } }).Code);
    }

    [Fact]
    public void Without_its_required_watchdog_the_leader_is_not_started_again()
    {
        var o = Leader("{}", 5);

        var decision = HaLoop.Decide(o with { Options = o.Options with { WatchdogProblem = "it cannot be opened" } });

        Assert.Equal(("watchdog", new HaAction.ReleaseLeader(null)), (decision.Code, Assert.Single(decision.Actions)));
    }

    [Fact]
    public void Nothing_is_started_while_the_lease_runs_out() => Assert.Equal("lease_ends", HaLoop.Decide(
        Leader("{}", 5) with { Lease = s_holds with { LeaderLeft = TimeSpan.FromSeconds(1) } }).Code);

    [Fact]
    public void A_leader_that_was_a_standby_starts_as_one_and_promotes_later() =>
        Assert.Equal(new HaAction.StartStandby(null),
            Assert.Single(HaLoop.Decide(Leader("{}", 5) with { Local = s_formerStandby }).Actions));

    [Fact]
    public void A_former_primary_compares_histories_before_it_comes_back() => Assert.Equal(
        new HaAction.CheckDivergence("b"),
        Assert.Single(HaLoop.Decide(Follower(s_formerPrimary, DivergenceState.Unchecked)).Actions));

    [Fact]
    public void What_fits_is_started_as_a_standby() => Assert.Equal(
        new HaAction.StartStandby(new Upstream(new HostPort("b", 5432), "a")),
        Assert.Single(HaLoop.Decide(Follower(s_formerPrimary, DivergenceState.Fits)).Actions));

    [Fact]
    public void What_has_diverged_is_rewound() => Assert.Equal(
        new HaAction.Rewind("b"),
        Assert.Single(HaLoop.Decide(Follower(s_formerPrimary, DivergenceState.Diverged)).Actions));

    [Fact]
    public void A_rewind_waits_for_the_checkpoint_of_the_new_primary()
    {
        var o = Follower(s_formerPrimary, DivergenceState.Diverged);
        var pending = o.Cluster!.Members["b"] with { CheckpointAfterPromotePending = true };

        var decision =
            HaLoop.Decide(o with { Cluster = o.Cluster with { Members = o.Cluster.Members.SetItem("b", pending) } });

        Assert.Equal("rewind_waits", decision.Code);
        Assert.Empty(decision.Actions);
    }

    [Fact]
    public void Diverged_data_that_cannot_be_rewound_are_replaced_where_that_is_allowed() => Assert.Equal(
        new HaAction.CopyMember("b"),
        Assert.Single(HaLoop.Decide(Follower(
            s_formerPrimary with { RewindPossible = false, MayRemoveDivergedData = true },
            DivergenceState.Diverged)).Actions));

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
        Assert.Contains("again: no", HaLoop.Decide(o).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_leader_it_starts_to_take_part_in_the_race() => Assert.Equal(
        new HaAction.StartStandby(null),
        Assert.Single(HaLoop.Decide(Every.Of(s_formerPrimary, null, default)).Actions));

    [Theory]
    [InlineData(DataDamage.HalfRewound, DivergenceState.Unchecked)]
    [InlineData(DataDamage.Diverged, DivergenceState.Unchecked)]
    [InlineData(DataDamage.Diverged, DivergenceState.Fits)]
    [InlineData(DataDamage.None, DivergenceState.Diverged)]
    [InlineData(DataDamage.None, DivergenceState.RewindFailed)]
    public void Damaged_data_are_not_started_while_nobody_leads(DataDamage damage, DivergenceState divergence)
    {
        var o = Every.Of(s_formerStandby with { Damage = damage }, null,
            default) with { Memory = new LoopMemory { Divergence = divergence } };

        Assert.Equal(("damaged", 0), (HaLoop.Decide(o).Code, HaLoop.Decide(o).Actions.Length));
    }

    [Fact]
    public void Nor_are_data_that_end_beyond_the_point_where_the_cluster_left_their_timeline()
    {
        var o = Every.Of(s_formerPrimary, null, default);

        Assert.Equal("damaged", HaLoop.Decide(o with { Cluster = o.Cluster! with { History = History(1, 199) } }).Code);
        Assert.Equal(
            "starts_to_race", HaLoop.Decide(o with { Cluster = o.Cluster! with { History = History(1, 200) } }).Code);
    }

    [Fact]
    public void A_leader_whose_data_are_damaged_gives_the_key_up()
    {
        var decision =
            HaLoop.Decide(Leader("{}", 5) with { Local = s_formerPrimary with { Damage = DataDamage.HalfRewound } });

        Assert.Equal(new HaAction.ReleaseLeader(null), Assert.Single(decision.Actions));
    }

    [Theory]
    [InlineData(DivergenceState.Unchecked)]
    [InlineData(DivergenceState.Fits)]
    public void A_rewind_that_was_interrupted_is_begun_again_whatever_a_comparison_says(DivergenceState divergence) =>
        Assert.Equal(
        new HaAction.Rewind("b"),
        Assert.Single(
            HaLoop.Decide(Follower(s_formerStandby with { Damage = DataDamage.HalfRewound }, divergence)).Actions));

    [Fact]
    public void Data_marked_as_diverged_are_compared_with_each_new_leader() => Assert.Equal(
        new HaAction.CheckDivergence("b"),
        Assert.Single(HaLoop.Decide(
            Follower(s_formerStandby with { Damage = DataDamage.Diverged }, DivergenceState.Fits)).Actions));

    [Fact]
    public void A_rewind_that_failed_is_tried_again_with_growing_pauses_and_then_a_copy_takes_its_place()
    {
        var o = Follower(s_formerPrimary with { MayRemoveAfterFailedRewind = true }, DivergenceState.Diverged);
        var pauses = new List<double>();
        for (var i = 1; i < HaLoop.MostRewinds; i++)
        {
            var failed =
                HaLoop.Decide(o with { Ended = new JobEnd(JobKind.Rewind, JobResult.Failed, "no right", o.Now) });
            Assert.Equal("rewind_retry", failed.Code);
            Assert.Contains("no right", failed.Reason, StringComparison.Ordinal);
            pauses.Add(failed.WakeIn!.Value.TotalSeconds);
            o = o with { Memory = failed.Memory, Now = o.Now + failed.WakeIn!.Value };
            Assert.Equal(new HaAction.Rewind("b"), Assert.Single(HaLoop.Decide(o).Actions));
        }
        var last = HaLoop.Decide(o with { Ended = new JobEnd(JobKind.Rewind, JobResult.Failed, "no right", o.Now) });
        var after = HaLoop.Decide(o with { Memory = last.Memory, Now = o.Now + last.WakeIn!.Value });

        Assert.Equal([1, 2, 4, 8], pauses);
        Assert.Equal(new HaAction.CopyMember("b"), Assert.Single(after.Actions));
    }

    [Fact]
    public void Where_no_copy_is_allowed_the_rewind_is_tried_again_later_and_at_once_when_something_changes()
    {
        var o = Follower(s_formerPrimary, DivergenceState.RewindFailed);
        o = o with
        {
            Memory = o.Memory with { RewindFailures = 5, RewindProblem = "no right", RewindFailedAt = o.Now,
                RewindBasis = (o.Config.ModRevision, 0) },
        };

        Assert.Equal("rewind_failed", HaLoop.Decide(o).Code);
        Rewinds(o with { Now = o.Now + TimeSpan.FromMinutes(6) });
        Rewinds(o with { Memory = o.Memory with { RewindBasis = (1, 0) } });
        Rewinds(
            o with { Cluster = o.Cluster!
                with { Members = o.Cluster.Members.SetItem("b", o.Cluster.Members["b"] with { Timeline = 3 }) } });
        var next =
            HaLoop.Decide(o with { Cluster = o.Cluster! with { Leader = new LeaderKey("b", new Term(51), 51, 1) } });
        Assert.Equal(new HaAction.CheckDivergence("b"), Assert.Single(next.Actions));

        static void Rewinds(Observation o) =>
            Assert.Equal(new HaAction.Rewind("b"), Assert.Single(HaLoop.Decide(o).Actions));
    }

    [Fact]
    public void An_obstacle_that_passes_is_no_failure_of_the_rewind()
    {
        var o = Follower(s_formerPrimary with { MayRemoveAfterFailedRewind = true }, DivergenceState.Diverged);
        for (var i = 0; i < 20; i++)
        {
            var kept = HaLoop.Decide(
                o with { Ended = new JobEnd(JobKind.Rewind, JobResult.CannotTell, "the disk is full", o.Now) });
            Assert.InRange(kept.WakeIn!.Value.TotalSeconds, 1, 30);
            o = o with { Memory = kept.Memory, Now = o.Now + kept.WakeIn!.Value };
        }

        Assert.Equal(new HaAction.Rewind("b"), Assert.Single(HaLoop.Decide(o).Actions));
    }

    [Fact]
    public void A_paused_member_stays_down()
    {
        var decision =
            HaLoop.Decide(Every.Of(s_formerPrimary, "b", default, config: Every.Config("""{"pause":true}""")));

        Assert.Equal("paused_stopped", decision.Code);
        Assert.Empty(decision.Actions);
    }

    private static TimelineHistory History(uint timeline, ulong end) =>
        new([new HistoryLine(timeline, new Lsn(end), "", null, "b")]);

    private static Observation Leader(string json, int downFor) =>
        Every.Of(s_formerPrimary, "a", s_holds, config: Every.Config(json)) with
        {
            Peers = Every.Answers(200, isPrimary: false),
            Memory = new LoopMemory { DownSince = Every.Now - TimeSpan.FromSeconds(downFor) },
        };

    private static Observation Follower(LocalPostgres local, DivergenceState divergence) =>
        Every.Of(local, "b", default) with
    {
        Memory = new LoopMemory { Divergence = divergence, DivergenceTerm = new Term(50) },
    };
}
