using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>A request for a change of leader, as the leader sees it.</summary>
public sealed class RequestTests
{
    private static readonly DateTimeOffset s_clock = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_switchover_to_a_streaming_standby_is_done()
    {
        var decision = HaLoop.Decide(Leader(new FailoverRequest("a", "b", null, 70)));

        Assert.Equal("steps_down", decision.Code);
        Assert.Equal(new HaAction.Demote(DemoteMode.Graceful, "b"), Assert.Single(decision.Actions));
    }

    [Fact]
    public void The_candidate_is_asked_first() =>
        Assert.IsType<HaAction.ProbePeers>(Assert.Single(
            HaLoop.Decide(Leader(new FailoverRequest("a", "b", null, 70)) with { Peers = null }).Actions));

    [Fact]
    public void What_the_members_said_before_the_request_does_not_count() => Assert.Equal("asks_peers", HaLoop.Decide(
        Leader(new FailoverRequest("a", "b", null, 70)) with { Memory = LoopMemory.Empty }).Code);

    [Fact]
    public void A_request_that_names_another_leader_is_dropped() =>
        Drops(Leader(new FailoverRequest("c", "b", null, 70)));

    [Fact]
    public void A_request_to_the_leader_itself_is_dropped() => Drops(Leader(new FailoverRequest(null, "a", null, 70)));

    [Fact]
    public void A_request_to_a_stranger_is_dropped() => Drops(Leader(new FailoverRequest("a", "x", null, 70)));

    [Fact]
    public void A_request_to_a_member_that_does_not_answer_is_dropped() =>
        Drops(Leader(new FailoverRequest("a", "b", null, 70)) with
    {
        Peers = Every.Answers(200, isPrimary: false, reachable: false),
    });

    [Fact]
    public void A_switchover_to_a_member_that_does_not_stream_is_dropped()
    {
        var o = Leader(new FailoverRequest("a", "b", null, 70));

        Drops(o with { Local = o.Local with { Standbys = [] } });
    }

    [Fact]
    public void A_failover_to_a_member_that_does_not_stream_is_done()
    {
        var o = Leader(new FailoverRequest(null, "b", null, 70));

        Assert.Equal("steps_down", HaLoop.Decide(o with { Local = o.Local with { Standbys = [] } }).Code);
    }

    /// <summary>
    /// Its own position is that of its last checkpoint, or none at all: what it has published says how far the others
    /// lag.
    /// </summary>
    [Theory]
    [InlineData(ServerState.Starting)]
    [InlineData(ServerState.Stopped)]
    public void A_leader_that_is_not_up_gives_way_only_to_a_standby_within_the_allowed_lag(ServerState state)
    {
        var lease = new LeaseView(true, new Term(50), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30));
        var o = Every.Of(
            Every.Server(state, isPrimary: true) with { IsPrimary = false,
                WalPosition = state == ServerState.Starting ? Lsn.Zero : new Lsn(150) },
            "a", lease, config: Every.Config("""{"maximum_lag_on_failover":10,"primary_start_timeout":5}"""));
        o = o with
        {
            Peers = Every.Answers(200, isPrimary: false),
            Memory = LoopMemory.Empty with { DivergenceTerm = new Term(50),
                DownSince = Every.Now - TimeSpan.FromSeconds(6) },
        };

        Assert.Contains(HaLoop.Decide(o).Actions, a => a is HaAction.Demote or HaAction.ReleaseLeader);
        var behind = o with { Cluster = o.Cluster! with { Status = o.Cluster.Status with { Optime = new Lsn(211) } } };
        Assert.DoesNotContain(HaLoop.Decide(behind).Actions, a => a is HaAction.Demote or HaAction.ReleaseLeader);
    }

    /// <summary>The key was given up, and nobody knows whether it is gone: it would keep the others waiting.</summary>
    [Theory]
    [InlineData(20, 0, false, false)]
    [InlineData(20, 9, false, false)]
    [InlineData(20, 9, true, false)]
    [InlineData(20, 10, false, true)]   // retry_timeout
    [InlineData(20, 10, true, true)]
    [InlineData(0, 3, false, true)]     // it is gone, or its lease has ended
    public void An_agent_does_not_end_before_the_key_that_it_gave_up_is_known_to_be_gone(
        int left, int waited, bool paused, bool ends)
    {
        var lease =
            default(LeaseView) with { Ttl = TimeSpan.FromSeconds(30), ReleaseLeft = TimeSpan.FromSeconds(left) };
        var o = Every.Of(
            Every.Server(ServerState.Stopped, isPrimary: false), null, lease,
            config: Every.Config(paused ? """{"pause":true}""" : "{}"));
        o = o with { ShutdownRequested = true };

        var first = HaLoop.Decide(o);
        var decision = HaLoop.Decide(o with { Memory = first.Memory, Now = o.Now + TimeSpan.FromSeconds(waited) });

        Assert.Equal(ends, decision.Actions.Contains(new HaAction.Exit(0)));
        Assert.True(ends || decision.WakeIn is { } soon && soon <= TimeSpan.FromSeconds(1));
    }

    [Fact]
    public void A_candidate_that_lags_too_far_is_refused()
    {
        var o = Configured(Leader(new FailoverRequest(null, "b", null, 70)), """{"maximum_lag_on_failover":10}""");

        Drops(o with { Peers = Every.Answers(100, isPrimary: false), Local = o.Local with { Standbys = [] } });
    }

    [Fact]
    public void What_a_standby_confirmed_to_us_counts_when_its_own_word_is_old()
    {
        var o = Configured(Leader(new FailoverRequest("a", "b", null, 70)), """{"maximum_lag_on_failover":10}""");

        Assert.Equal("steps_down", HaLoop.Decide(o with { Peers = Every.Answers(100, isPrimary: false) }).Code);
    }

    [Theory]
    [InlineData("a", "request_refused")]
    [InlineData(null, "steps_down")]
    public void Only_a_failover_may_go_to_an_asynchronous_member(string? leader, string code)
    {
        var o = Configured(Leader(new FailoverRequest(leader, "b", null, 70)), """{"synchronous_mode":true}""");
        o = o with { Cluster = o.Cluster! with { Sync = new SyncState("a", SyncState.None.Standbys.Add("c"), 0, 60) } };

        Assert.Equal(code, HaLoop.Decide(o).Code);
    }

    [Theory]
    [InlineData(3600, "leads")]
    [InlineData(5, "switchover_soon")]
    [InlineData(0, "steps_down")]
    [InlineData(-14, "steps_down")]
    [InlineData(-16, "request_refused")]
    public void A_scheduled_switchover_has_its_time(int seconds, string code) =>
        Assert.Equal(code, HaLoop.Decide(Leader(new FailoverRequest("a", "b", s_clock.AddSeconds(seconds), 70))).Code);

    /// <summary>It was started a moment ago: what it holds is known in a moment, too.</summary>
    [Theory]
    [InlineData(1, "asks_peers")]
    [InlineData(5, "request_refused")]
    public void A_candidate_that_has_not_read_its_WAL_yet_is_asked_again_for_a_moment(int seconds, string code)
    {
        var o = Leader(new FailoverRequest("a", "b", null, 70));
        o = o with
        {
            Local = o.Local with { Standbys = [] },
            Peers = o.Peers! with
            {
                Reports = o.Peers.Reports.SetItem(
                    "b", new PeerReport("b", true) { State = PostgresState.Running, Age = TimeSpan.Zero }),
            },
            Memory = new LoopMemory { Request = (70, Every.Now - TimeSpan.FromSeconds(seconds)) },
        };

        Assert.Equal(code, HaLoop.Decide(o).Code);
    }

    [Fact]
    public void A_candidate_whose_data_are_marked_is_refused()
    {
        var o = Leader(new FailoverRequest("a", "b", null, 70));
        var b = o.Peers!.Reports["b"] with { Damage = "its history has diverged" };

        Drops(o with { Peers = o.Peers with { Reports = o.Peers.Reports.SetItem("b", b) } });
    }

    /// <summary>The members have consented to this leader: they elect no other until that has ended.</summary>
    [Theory]
    [InlineData(5, "switchover_soon")]
    [InlineData(31, "steps_down")]
    public void A_switchover_waits_for_the_consents_of_failsafe_mode_to_end(int seconds, string code)
    {
        var o = Leader(new FailoverRequest("a", "b", null, 70));

        var decision = HaLoop.Decide(
            o with { Failsafe = o.Failsafe with { LastAskedAt = Every.Now - TimeSpan.FromSeconds(seconds) } });

        Assert.Equal(code, decision.Code);
    }

    /// <summary>What the leader owes besides goes on while a switchover is near.</summary>
    [Fact]
    public void A_switchover_that_is_near_does_not_hold_up_the_synchronous_state()
    {
        var o = Configured(
            Leader(new FailoverRequest("a", "b", s_clock.AddSeconds(5), 70)), """{"synchronous_mode":true}""");

        var decision = HaLoop.Decide(o);

        Assert.StartsWith("synchronous", decision.Code, StringComparison.Ordinal);
        Assert.True(decision.WakeIn <= TimeSpan.FromSeconds(5));
    }

    [Fact]
    public void A_paused_cluster_switches_only_to_a_named_candidate() =>
        Drops(Configured(Leader(new FailoverRequest("a", null, null, 70)), """{"pause":true}"""));

    [Fact]
    public void A_paused_cluster_does_not_keep_schedules() => Assert.Empty(HaLoop.Decide(
        Configured(Leader(new FailoverRequest("a", "b", s_clock, 70)), """{"pause":true}""")).Actions);

    [Fact]
    public void A_switchover_that_was_called_off_ends_with_the_same_primary()
    {
        var o = Leader(null) with
        {
            Local = Every.Server(ServerState.Stopped, isPrimary: true) with { IsPrimary = false },
            Ended = new JobEnd(JobKind.Demote, JobResult.Failed, "no standby received everything", Every.Now),
        };

        var decision = HaLoop.Decide(Configured(o, """{"primary_start_timeout":0}"""));

        Assert.IsType<HaAction.StartPrimary>(Assert.Single(decision.Actions));
    }

    private static void Drops(Observation o)
    {
        var decision = HaLoop.Decide(o);

        Assert.Equal("request_refused", decision.Code);
        Assert.Equal(new HaAction.ClearFailover(70), Assert.Single(decision.Actions));
    }

    private static Observation Leader(FailoverRequest? request) => Every.Of(
        Every.Server(ServerState.Running, isPrimary: true) with
        {
            Standbys =
            [
                new StandbyRow("b", null, null, "streaming", "async", 0, new Lsn(200), new Lsn(200), new Lsn(200),
                    new Lsn(200)),
                new StandbyRow("c", null, null, "streaming", "async", 0, new Lsn(200), new Lsn(200), new Lsn(200),
                    new Lsn(200)),
            ],
        },
        "a", new LeaseView(true, new Term(50), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30)),
        request: request, config: Every.Config("""{"switchover_grace":0}""")) with
    {
        Peers = Every.Answers(200, isPrimary: false),
        Memory = new LoopMemory { Request = (70, Every.Now - TimeSpan.FromSeconds(1)) },
    };

    private static Observation Configured(Observation o, string json)
    {
        var config = Every.Config(json.Insert(1, "\"switchover_grace\":0,"));
        return o with { Config = config, Cluster = o.Cluster! with { Config = config } };
    }
}
